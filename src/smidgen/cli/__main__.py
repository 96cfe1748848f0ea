"""`python -m smidgen.cli`."""

from smidgen.cli import main

if __name__ == "__main__":
    main()
