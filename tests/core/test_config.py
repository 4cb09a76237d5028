"""The toggles: names and values that are refused, nesting, and who sees a setting."""

import asyncio
import threading
from dataclasses import FrozenInstanceError, asdict

import pytest

from toolkit import Config, current_config, no_grad, using_config

OTHER_LEVELS = [
    ("references", "strong"),
    ("traversal", "lifo"),
    ("retain_grad", True),
    ("enable_backprop", False),
    ("saves", "needed"),
    ("retain_graph", False),
    ("storage", "float32"),
    ("accumulation", "in_place"),
    ("buffers", "reused"),
]


def test_the_defaults_are_those_the_book_ends_with():
    assert asdict(current_config()) == {
        "references": "weak",
        "traversal": "generation",
        "retain_grad": False,
        "enable_backprop": True,
        "saves": "inputs",
        "retain_graph": True,
        "storage": "exact",
        "accumulation": "new",
        "buffers": "fresh",
    }


def test_every_toggle_has_a_level_beside_its_default():
    assert set(dict(OTHER_LEVELS)) == set(Config.levels())
    for toggle, level in OTHER_LEVELS:
        assert level in Config.levels()[toggle]
        assert level != getattr(Config(), toggle)


def test_a_config_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        current_config().retain_grad = True


@pytest.mark.parametrize(("toggle", "level"), OTHER_LEVELS)
def test_the_named_toggle_is_set_and_no_other(toggle, level):
    with using_config(toggle, level) as config:
        assert config is current_config()
        assert asdict(config) == {**asdict(Config()), toggle: level}
    assert current_config() == Config()


def test_several_toggles_at_once():
    with using_config("retain_grad", True, references="strong", traversal="lifo"):
        assert current_config() == Config(references="strong", traversal="lifo", retain_grad=True)
    assert current_config() == Config()


def test_blocks_nest():
    with using_config(references="strong"):
        with using_config(retain_grad=True):
            with using_config(references="weak"):
                assert current_config() == Config(retain_grad=True)
            assert current_config() == Config(references="strong", retain_grad=True)
        assert current_config() == Config(references="strong")
    assert current_config() == Config()


def test_an_exception_restores_what_was_in_force():
    with using_config(references="strong"):
        with pytest.raises(KeyError), using_config(retain_grad=True), no_grad():
            raise KeyError
        assert current_config() == Config(references="strong")
    assert current_config() == Config()


def test_no_grad_is_the_toggle():
    with no_grad():
        assert current_config() == Config(enable_backprop=False)
        with using_config("enable_backprop", True):
            assert current_config() == Config()
        assert not current_config().enable_backprop


def test_as_a_decorator_also_of_a_function_that_calls_itself():
    seen = []

    @using_config(retain_grad=True)
    @no_grad()
    def descend(depth):
        seen.append(current_config())
        if depth:
            descend(depth - 1)

    descend(2)
    assert seen == [Config(retain_grad=True, enable_backprop=False)] * 3
    assert current_config() == Config()


def test_an_unknown_toggle_is_refused_at_the_call_naming_the_known():
    with pytest.raises(ValueError, match=r"'enable_backprob'; .* references, traversal, retain_grad, enable"):
        using_config("enable_backprob", False)
    with pytest.raises(ValueError, match="unknown toggle 'weak'"):
        using_config(weak=True)


@pytest.mark.parametrize(
    ("toggle", "value", "levels"),
    [
        ("references", "soft", "'weak', 'strong'"),
        ("references", ["weak"], "'weak', 'strong'"),
        ("traversal", None, "'generation', 'lifo'"),
        ("retain_grad", 1, "False, True"),
        ("enable_backprop", "no", "False, True"),
    ],
)
def test_a_value_that_is_no_level_is_refused_at_the_call_naming_the_levels(toggle, value, levels):
    for refused in (lambda: using_config(toggle, value), lambda: Config(**{toggle: value})):
        with pytest.raises(ValueError, match=f"{toggle} must be one of {levels}, not "):
            refused()
    assert current_config() == Config()


def test_a_name_needs_a_value():
    with pytest.raises(TypeError, match="needs a value"):
        using_config("retain_grad")


def test_threads_do_not_see_each_other():
    both_inside = threading.Barrier(2, timeout=300)
    seen = {}

    def work(toggle, level):
        before = current_config()
        with using_config(toggle, level):
            both_inside.wait()
            seen[toggle] = before, current_config()
            both_inside.wait()

    threads = [threading.Thread(target=work, args=setting) for setting in OTHER_LEVELS[:2]]
    with no_grad():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert seen == {
        "references": (Config(), Config(references="strong")),
        "traversal": (Config(), Config(traversal="lifo")),
    }


def test_tasks_do_not_see_each_other():
    async def work(toggle, level):
        with using_config(toggle, level):
            await asyncio.sleep(0)
            return current_config()

    async def together():
        with using_config(retain_grad=True):
            configs = await asyncio.gather(*[work(*setting) for setting in OTHER_LEVELS[:2]])
            return configs, current_config()

    configs, outside = asyncio.run(together())
    # A task starts from what was in force where it was made.
    assert configs == [
        Config(references="strong", retain_grad=True),
        Config(traversal="lifo", retain_grad=True),
    ]
    assert outside == Config(retain_grad=True)
    assert current_config() == Config()
