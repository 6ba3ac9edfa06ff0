"""What the commands share: where the configuration lies, and how mistakes are told.

Hydra does the work. Added here: the configuration groups are found in a checkout and in an
installed wheel alike, a misspelt override is answered with the nearest valid names, and an error
that the user can mend is printed as one message instead of a traceback.
"""

from __future__ import annotations

import difflib
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

import seq2seq
from seq2seq.cli.added_keys import check_added
from seq2seq.cli.arguments import as_meant
from seq2seq.cli.importing import quick_imports
from seq2seq.cli.interruption import Interruption, listen
from seq2seq.cli.values import check_values

#: Errors that tell the user what to mend; everything else is a defect and shows its traceback.
MENDABLE = (
    OSError,  # a file that is missing or not to be read, a disk that is full
    ValueError,
    FloatingPointError,
    HydraException,
    OmegaConfBaseException,
)
#: Hydra's variable: it raises errors, with their whole traceback, instead of printing them.
FULL_ERROR = "HYDRA_FULL_ERROR"


def config_folder() -> Path:
    """The folder of configuration groups: inside the installed package, else the checkout's."""
    package = Path(seq2seq.__file__).parent
    for folder in (package / "configs", package.parent / "configs"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"no configs folder in {package} or beside it: reinstall seq2seq")


def configured_classes(group: str) -> dict[str, str]:
    """Return the class that each configuration of a group builds, by the name of the configuration.

    A configuration without a class is left out.
    """
    classes = {}
    for path in sorted((config_folder() / group).glob("*.yaml")):
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        # With the package _global_, the content of a file is below the name of its group.
        target = content.get(group, content).get("_target_")
        if target is not None:
            classes[path.stem] = str(target)
    return classes


def run(job: Callable[[DictConfig], None], config_name: str) -> None:
    """Run ``job`` as the Hydra application ``config_name`` with the overrides of the command line.

    Exits with 0 on success; with 1 when the configuration or the input is at fault or the job
    failed; with 128 + the signal's number when a signal asked to stop. A sweep exits with 1, after
    all its runs, if one of them failed, and ends with the run that a signal stops.
    """
    listen()
    show_any_character()
    sys.argv[1:] = as_meant(sys.argv[1:])
    if not sys.stderr.isatty():  # no progress bars where nobody watches
        os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    composed = False
    # Until the configuration is composed, Hydra raises its errors and does not print them: its
    # advice to add an unknown key with + would be wrong here.
    given_full_error = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"

    def guarded(config: DictConfig) -> None:
        nonlocal composed
        composed = True
        restore(FULL_ERROR, given_full_error)
        for handler in logging.getLogger().handlers:
            handler.setFormatter(HarmlessFormatter(handler.formatter or logging.Formatter()))
        try:
            overrides = list(HydraConfig.get().overrides.task)
            check_added(config, overrides, config_folder(), partial(compose, config_name))
            with quick_imports():
                check_values(config)
            job(config)
        except BrokenPipeError:
            # Whoever read our output has gone: end silently, as text tools do.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(1) from None
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        except Exception as error:
            if config.debug or not mendable(error):
                raise
            message = f"error: {_message(error)}"
            print("".join(map(_harmless, message)), file=sys.stderr)
            print("(debug=true shows where it was raised)", file=sys.stderr)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # Hydra makes the sweep's other runs first, then fails
            raise SystemExit(1) from error

    application = hydra.main(
        version_base="1.3", config_path=str(config_folder()), config_name=config_name
    )(guarded)
    try:
        application()
    except Interruption as stop:
        print(f"stopped by {stop.name}", file=sys.stderr)
        raise
    except SystemExit as stop:
        if stop.code == 2:  # argparse, of an option that is not known
            raise SystemExit(1) from None
        raise
    except (HydraException, OmegaConfBaseException) as error:
        if composed:
            raise
        given = get_args_parser().parse_known_args()[0]
        lines = suggestions(config_name, given.overrides, given.config_dir)
        print("error:", "\n".join(lines or [_message(error)]), file=sys.stderr)
        raise SystemExit(1) from None
    finally:
        restore(FULL_ERROR, given_full_error)


def restore(name: str, value: str | None) -> None:
    """Give an environment variable its earlier value; None: it had none."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _message(error: Exception) -> str:
    """Return what is wrong, with the key or the file."""
    cause: BaseException = error
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        cause = error.__cause__
    place = getattr(error, "full_key", None)
    if isinstance(error, MissingMandatoryValue) and place:
        return f"{place} is not given, and has no default: add {place}=VALUE"
    if isinstance(cause, OSError) and cause.filename is not None and cause.strerror:
        return f"{cause.filename}: {cause.strerror}"
    message = str(cause).partition("\n    full_key:")[0]  # OmegaConf repeats `place` there
    return f"{place}: {message}" if place else message


def show_any_character() -> None:
    """Let a terminal that has not all characters (one of ASCII) show `?` for the others."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _harmless(character: str) -> str:
    """A character of a message, which may quote a stranger, as a terminal only shows it."""
    shows = character.isprintable() or character in "\n\t"
    return character if shows else f"\\x{ord(character):02x}"


class HarmlessFormatter(logging.Formatter):
    """Another formatter, whose control characters a terminal shows and does not obey.

    Args:
        inner: makes the text of a record, which may quote an untrusted file.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """See the base class."""
        return "".join(map(_harmless, self._inner.format(record)))


def mendable(error: Exception) -> bool:
    """Whether the error tells the user what to mend (Lightning's is known by name, not loaded)."""
    return isinstance(error, MENDABLE) or type(error).__name__ == "MisconfigurationException"


def plain(config: DictConfig, *keys: str) -> dict[str, Any]:
    """The configuration, or some of its keys as far as they are there, as plain resolved data."""
    found: Any = OmegaConf.to_container(config, resolve=True)
    return {key: found[key] for key in keys if key in found} if keys else found


def suggestions(config_name: str, arguments: list[str], config_dir: str | None = None) -> list[str]:
    """For every override that cannot be applied, a line with the nearest valid names.

    Args:
        config_name: the application's primary configuration.
        arguments: the overrides of the command line; sweeps (``seed=1,2``) are passed over.
        config_dir: the user's own configuration folder.
    """
    accepted = []
    if config_dir is not None:
        accepted.append(f"hydra.searchpath=['file://{Path(config_dir).absolute()}']")
    lines: list[str] = []
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        for argument in arguments:
            try:
                override = OverridesParser.create().parse_override(argument)
            except HydraException:
                lines.append(f"{argument!r} cannot be read: write key=value, quoting odd values")
                continue
            try:
                if not override.is_sweep_override():
                    compose(config_name, [*accepted, argument])
                    accepted.append(argument)
            except (HydraException, OmegaConfBaseException) as error:
                lines.append(_suggestion(config_name, accepted, override, error))
    return lines


def _suggestion(config_name: str, accepted: list[str], override: Override, error: Exception) -> str:
    """A line for an override that cannot be applied over the accepted ones."""
    config = compose(config_name, accepted, return_hydra_config=True)
    places = [str(place) for place in config.hydra.runtime.choices]
    key = override.key_or_group if not override.package else override.get_key_element()
    key = key.lstrip("+~")
    value = str(override.value())
    loader = GlobalHydra.instance().config_loader()
    options = loader.get_group_options(override.key_or_group)
    if options and key not in places:
        same = [p for p in places if p.partition("@")[0] == override.key_or_group]
        if not same:
            return f"'{key}={value}' is not for this command and task: nothing is chosen from {key}"
        return _nearest(f"{key}={value}", [f"{place}={value}" for place in same], most=9)
    if value in options:
        return f"'{key}={value}' does not go with what stands before it: {error}"
    if options:
        return _nearest(f"{key}={value}", [f"{key}={option}" for option in options])
    names = {name for name in _keys(config) if not name.startswith("hydra")}
    return _nearest(key, sorted({*names, *(p for p in places if not p.startswith("hydra"))}))


def _nearest(word: str, names: list[str], most: int = 5) -> str:
    """One line: the names that look most like ``word``, by the whole name and by its last part."""
    last = word.rpartition(".")[2]
    same_ending = [n for n in names if n.rpartition(".")[2] == last and n != word]
    close = difflib.get_close_matches(word, names, most, 0.6)
    by_ending = {n.rpartition(".")[2]: n for n in names}
    close_ending = [by_ending[e] for e in difflib.get_close_matches(last, by_ending, most, 0.75)]
    found = list(dict.fromkeys([*same_ending[:2], *close, *close_ending]))[:most]
    first, dot, _ = word.partition(".")
    below = [name for name in names if dot and name.startswith(f"{first}.")]
    shown = ", ".join((found or below or names)[:12])
    return f"'{word}' is not known here; the nearest valid names: {shown}"


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    """The dotted names of everything in a configuration."""
    if not isinstance(node, DictConfig):
        return
    for key in map(str, node):
        yield f"{prefix}{key}"
        if not OmegaConf.is_missing(node, key) and not OmegaConf.is_interpolation(node, key):
            yield from _keys(node[key], f"{prefix}{key}.")
