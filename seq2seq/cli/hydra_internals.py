"""What the commands know of Hydra's command line, which Hydra does not make public.

``tests/system/test_internals.py`` fails if Hydra changes it.
"""

from __future__ import annotations

#: Hydra's options that print something and start no job.
PRINTING = frozenset(
    "--help -h --hydra-help --version --cfg -c --info -i --shell-completion -sc".split()
)


def overrides_and_folder() -> tuple[list[str], str | None]:
    """Return the overrides and ``--config-dir`` of the command line.

    If Hydra's parser is missing, return no overrides. A misspelt key is then answered by Hydra's
    own message only, without suggestions.
    """
    try:
        from hydra._internal.utils import get_args_parser
    except ImportError:
        return [], None
    arguments = get_args_parser().parse_known_args()[0]
    return arguments.overrides, arguments.config_dir
