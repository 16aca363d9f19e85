"""`python -m gateway.cli` is `graygate`, for where no script is installed."""

from gateway.cli.entry import main

if __name__ == "__main__":
    main()
