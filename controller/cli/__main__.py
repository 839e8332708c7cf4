"""``python -m controller.cli`` is ``minka``."""

from controller.cli.main import main

if __name__ == "__main__":
    main()
