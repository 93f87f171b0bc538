"""`python -m conformance.guest`: what a guest starts."""

from conformance.guest.agent import main

if __name__ == "__main__":
    main()
