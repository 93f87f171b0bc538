"""The calls made for real, on whatever Linux this process runs on."""
