"""Where kernels run: one small module for each machine, beside one Protocol, and what drives any of them."""
