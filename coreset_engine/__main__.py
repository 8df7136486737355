"""`python -m coreset_engine`: the command line."""

from coreset_engine.cli.main import main

if __name__ == "__main__":
    main()
