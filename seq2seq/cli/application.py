"""Run the commands as Hydra applications, and report the user's errors in one message.

This module adds three things to Hydra. It finds the configuration groups in a checkout and in an
installed wheel. For a misspelled override it suggests the nearest valid names. And it prints an
error that the user can fix as one message instead of a traceback.
"""

from __future__ import annotations

import difflib
import io
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra import compose, initialize_config_dir
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
from seq2seq.cli.hydra_internals import overrides_and_folder
from seq2seq.cli.importing import quick_imports
from seq2seq.cli.interruption import Interruption, listen
from seq2seq.cli.values import check_values

#: Errors that tell the user what to fix; all others are bugs and show their traceback.
MENDABLE = (
    OSError,  # a missing or unreadable file, a full disk
    ValueError,
    FloatingPointError,
    HydraException,
    OmegaConfBaseException,
)
#: Plugins of Hydra, by what a command or a configuration here chooses, and what installs them.
PLUGINS = {
    "hydra/sweeper/optuna": 'hydra-optuna-sweeper "sqlalchemy<2"',
    "hydra/launcher/joblib": "hydra-joblib-launcher",
}
#: What a key that has no default takes, for messages.
EXAMPLES = {
    "checkpoint": "RUN (a run folder, or hub:OWNER/NAME)",
    "runs": "FOLDER",
    "output": "FILE",
}
#: Hydra's variable: it raises errors, with their whole traceback, instead of printing them.
FULL_ERROR = "HYDRA_FULL_ERROR"


def config_folder() -> Path:
    """Return the folder of configuration groups: in the installed package, or in the checkout."""
    package = Path(seq2seq.__file__).parent
    for folder in (package / "configs", package.parent / "configs"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"no configs folder in {package} or beside it; reinstall seq2seq")


def configured_classes(group: str) -> dict[str, str]:
    """Return the class that each configuration of a group builds, by the name of the configuration.

    Configurations without a class are omitted.
    """
    classes = {}
    for path in sorted((config_folder() / group).glob("*.yaml")):
        content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        # In the package _global_, the content of a file is below the name of its group.
        target = content.get(group, content).get("_target_")
        if target is not None:
            classes[path.stem] = str(target)
    return classes


LONGEST_MESSAGE = 3000  # characters, of a message that may quote an untrusted file


def check_arguments(arguments: list[str]) -> None:
    """End the process if an argument has control characters, which Hydra's messages would repeat.

    A folder from anybody may have escape sequences in its name.
    """
    for argument in arguments:
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", argument):
            shown = "".join(map(_harmless, argument[:200]))
            raise SystemExit(f"error: the argument {shown} has control characters: rename the file")


def run(job: Callable[[DictConfig], float | None], config_name: str) -> None:
    """Run ``job`` as the Hydra application ``config_name`` with the overrides of the command line.

    The sweepers of Hydra that search for good settings get the number that ``job`` returns.

    The exit code is 0 on success, 1 if the configuration or the input is wrong or the job failed,
    and 128 + the number of a signal that stopped it. If a run of a sweep fails, the sweep exits
    with 1 after all its runs. If a signal stops a run, the sweep stops too.
    """
    listen()
    show_any_character()
    check_arguments(sys.argv[1:])
    sys.argv[1:] = as_meant(sys.argv[1:])
    if not sys.stderr.isatty():  # no progress bars without a terminal
        os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    composed = False
    # Until the configuration is composed, Hydra raises its errors and does not print them: its
    # advice to add an unknown key with + would be wrong here.
    given_full_error = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"

    def guarded(config: DictConfig) -> float | None:
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
            return job(config)
        except BrokenPipeError:
            raise _unread() from None
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        except Exception as error:
            if config.debug or not mendable(error):
                raise
            message = _message(error)
            if len(message) > LONGEST_MESSAGE:
                message = f"{message[:LONGEST_MESSAGE]}…"
            print("".join(map(_harmless, f"error: {message}")), file=sys.stderr)
            print("(debug=true shows where it was raised)", file=sys.stderr)
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                raise  # Hydra does the other runs of the sweep first, then fails
            raise SystemExit(1) from error

    application = hydra.main(
        version_base="1.3", config_path=str(config_folder()), config_name=config_name
    )(guarded)
    try:
        application()
        if sys.stdout is not None:  # which Hydra's help leaves in the buffer
            sys.stdout.flush()
    except BrokenPipeError:
        raise _unread() from None
    except Interruption as stop:
        print(f"stopped by {stop.name}", file=sys.stderr)
        raise
    except SystemExit as stop:
        if stop.code == 2:  # argparse exits with 2 for an unknown option
            raise SystemExit(1) from None
        raise
    except (HydraException, OmegaConfBaseException) as error:
        if composed:
            raise
        lines = suggestions(config_name, *overrides_and_folder())
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


def _unread() -> SystemExit:
    """Discard all further output, whose reader has gone; return the exit, which prints nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return SystemExit(1)


def _message(error: Exception) -> str:
    """Return the message of an error, with the key or the file."""
    cause: BaseException = error
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        cause = error.__cause__
    place = getattr(error, "full_key", None)
    if isinstance(error, MissingMandatoryValue) and place:
        return f"{place} is not set and has no default; add {place}={EXAMPLES.get(place, 'VALUE')}"
    if isinstance(cause, OSError) and cause.filename is not None and cause.strerror:
        return f"{cause.filename}: {cause.strerror}"
    message = str(cause).partition("\n    full_key:")[0]  # after it, OmegaConf repeats `place`
    return f"{place}: {message}" if place else message


def show_any_character() -> None:
    """Let a terminal without some characters (such as ASCII) show `?` instead of them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _harmless(character: str) -> str:
    """Return a character of a message, escaped if a terminal would interpret it."""
    shows = character.isprintable() or character in "\n\t"
    return character if shows else f"\\x{ord(character):02x}"


class HarmlessFormatter(logging.Formatter):
    """Formatter that escapes control characters, which a terminal would interpret.

    Args:
        inner: formats a record, which may quote an untrusted file.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """See the base class."""
        return "".join(map(_harmless, self._inner.format(record)))


def mendable(error: Exception) -> bool:
    """Return True if an error tells the user what to fix."""
    # An error of Lightning is possible only if Lightning is imported, which takes seconds.
    lightning = sys.modules.get("lightning.pytorch.utilities.exceptions")
    kinds = () if lightning is None else (lightning.MisconfigurationException,)
    return isinstance(error, (*MENDABLE, *kinds))


def plain(config: DictConfig, *keys: str) -> dict[str, Any]:
    """Return the configuration, or its existing `keys`, as plain resolved data."""
    found: Any = OmegaConf.to_container(config, resolve=True)
    return {key: found[key] for key in keys if key in found} if keys else found


def suggestions(config_name: str, arguments: list[str], config_dir: str | None = None) -> list[str]:
    """Return a line with the nearest valid names for each override that cannot be applied.

    Args:
        config_name: primary configuration of the application.
        arguments: overrides of the command line; sweeps (``seed=1,2``) are skipped.
        config_dir: configuration folder of the user.
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
                lines.append(
                    f"{argument!r} cannot be parsed; write key=value, and quote special values"
                )
                continue
            try:
                if not override.is_sweep_override():
                    compose(config_name, [*accepted, argument])
                    accepted.append(argument)
            except (HydraException, OmegaConfBaseException, ValueError) as error:
                lines.append(_suggestion(config_name, accepted, override, error))
    return lines


def _suggestion(config_name: str, accepted: list[str], override: Override, error: Exception) -> str:
    """Return a line for an override that cannot be applied after the accepted ones."""
    if missing := next((name for name in PLUGINS if f"'{name}'" in str(error)), None):
        return f"'{override.input_line}' needs a plugin of Hydra: pip install {PLUGINS[missing]}"
    config = compose(config_name, accepted, return_hydra_config=True)
    places = [str(place) for place in config.hydra.runtime.choices]
    key = override.key_or_group if not override.package else override.get_key_element()
    key = key.lstrip("+~")
    value = str(override.value())
    options = _options(override.key_or_group)
    if options and key not in places:
        same = [p for p in places if p.partition("@")[0] == override.key_or_group]
        if not same:
            return (
                f"'{key}={value}' is not for this command and task, which use no {key}; remove it"
            )
        return _unknown(f"{key}={value}", [f"{place}={value}" for place in same])
    if value in options:
        return f"'{key}={value}' does not fit the overrides before it: {error}"
    if options:
        near = [f"{key}={option}" for option in difflib.get_close_matches(value, options, 3, 0.6)]
        return _unknown(f"{key}={value}", near, options)
    if owners := _owners(config_name, accepted, config, key):
        return owners
    names = {name for name in _keys(config) if not name.startswith("hydra")}
    names |= {place for place in places if not place.startswith("hydra")}
    if override.is_add() and key in names:
        return f"'{override.input_line}': {key} exists already; set it without +: {key}={value}"
    return _unknown(key, _near(key, sorted(names)), _siblings(key, names))


def _options(group: str) -> list[str]:
    options = GlobalHydra.instance().config_loader().get_group_options(group)
    return [option for option in options if option != "base"]  # what the others have in common


def _unknown(word: str, near: Sequence[str], valid: Sequence[str] = ()) -> str:
    """Return a line that says what can replace ``word``, or how to list all names."""
    if near:
        advice = f"the nearest valid names: {', '.join(near)}"
    elif valid:
        advice = f"no name is similar; choose from: {', '.join(valid)}"
    else:
        advice = "no name is similar; --cfg job lists all keys"
    return f"'{word}' is not known here; {advice}"


def _owners(config_name: str, accepted: list[str], config: DictConfig, key: str) -> str | None:
    """Return a line that says which other choices of its group have the key; None if none has.

    For example, ``attention.lam`` is a parameter of ``attention=fusedmax``, not of ``softmax``.
    """
    for place, choice in config.hydra.runtime.choices.items():
        group, _, package = str(place).partition("@")
        if group.startswith("hydra") or not key.startswith(f"{package or group}."):
            continue
        others = [line for line in accepted if line.partition("=")[0] != place]
        owners = []
        for option in _options(group):
            try:
                other = compose(config_name, [*others, f"{place}={option}"])
            except (HydraException, OmegaConfBaseException):
                continue
            if key in _keys(other):
                owners.append(str(option))
        if owners:
            return (
                f"'{key}' is a parameter of {place}={', '.join(owners)}, and not of the chosen "
                f"{place}={choice or 'null'}"
            )
    return None


def _near(word: str, names: list[str], most: int = 5) -> list[str]:
    """Return the names that are similar to ``word`` in each part, or in the last part."""
    parts = word.split(".")

    def similarity(name: str) -> float:
        others = name.split(".")
        if len(others) != len(parts):
            return 0.0
        return min(map(_ratio, parts, others))

    def similarity_of_ends(name: str) -> float:
        end = name.rpartition(".")[2]
        return 0.9 if parts[-1] in end.split("_") else _ratio(parts[-1], end)

    whole = [name for name in sorted(names, key=similarity, reverse=True) if similarity(name) > 0.6]
    by_end = sorted(names, key=similarity_of_ends, reverse=True)
    ends = [name for name in by_end if similarity_of_ends(name) >= 0.75]
    return list(dict.fromkeys([*whole, *ends]))[:most]


def _ratio(first: str, second: str) -> float:
    return difflib.SequenceMatcher(None, first, second).ratio()


def _siblings(key: str, names: set[str]) -> list[str]:
    """Return the children of the nearest node above ``key`` that has any."""
    node = key
    while "." in node:
        node = node.rpartition(".")[0]
        if children := sorted(name for name in names if name.rpartition(".")[0] == node):
            return children
    return []


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    """Yield the dotted names of all nodes of a configuration."""
    if not isinstance(node, DictConfig):
        return
    for key in map(str, node):
        if key.startswith("_"):  # such as _target_, which is not for users
            continue
        yield f"{prefix}{key}"
        if not OmegaConf.is_missing(node, key) and not OmegaConf.is_interpolation(node, key):
            yield from _keys(node[key], f"{prefix}{key}.")
