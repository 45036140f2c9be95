"""The planner's loop on the embedded model: plans in range, exact codes, and songs that do not know of each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from planner_songs import song
from transformers import Qwen3ForCausalLM

from acestep_batch.engine.v15 import plan_text
from acestep_batch.engine.v15.constants import BPM, KEYSCALES, LANGUAGES, TIMESIGNATURES
from acestep_batch.engine.v15.embedded_planner import LONGEST_S, embedded_model, load_embedded_planner
from acestep_batch.engine.v15.grammar import Grammar
from acestep_batch.engine.v15.metadata import read_codes, read_fields
from acestep_batch.engine.v15.orchestration import Plan, PlannerRequest
from acestep_batch.engine.v15.planner import Planner, token_stream
from acestep_batch.engine.v15.token_sampling import Sampling, draw_token, guided
from acestep_batch.problems import Refused

PLANNER = load_embedded_planner()
SHORT: dict[str, Any] = {"duration_s": 4.0}
SETTINGS: list[dict[str, Any]] = [
    {},
    {"lm_cfg_scale": 1.0},
    {"lm_negative_prompt": "low quality"},
    {"use_cot_metas": False},
    {"use_cot_caption": False, "use_cot_language": False, "bpm": 120},
    {"lm_top_k": 20, "lm_top_p": 1.0, "lm_repetition_penalty": 1.2, "lm_temperature": 1.3},
    {"caption": "", "lyrics": "", "vocal_language": "fr"},
    {"use_constrained_decoding": False},
]


def plan_of(request: PlannerRequest, planner: Planner = PLANNER) -> Plan:
    (plan,) = planner.plan([request])
    return plan


@pytest.mark.parametrize("seed", range(8))
def test_random_weights_make_a_valid_plan(seed: int) -> None:
    plan = plan_of(song(seed=seed))
    assert plan.bpm in BPM
    assert plan.keyscale in KEYSCALES
    assert plan.timesignature in TIMESIGNATURES
    assert plan.vocal_language in LANGUAGES
    assert plan.caption.strip()
    assert plan.duration_s is not None
    assert 10 <= plan.duration_s <= LONGEST_S
    assert plan.audio_codes is not None
    assert len(plan.audio_codes) == 5 * plan.duration_s
    assert plan.notes == ()
    assert read_fields(plan.thought)["bpm"] == plan.bpm


@pytest.mark.parametrize("settings", SETTINGS[:-1])
@pytest.mark.parametrize(("duration_s", "codes"), [(0.2, 1), (1.0, 5), (10.39, 51)])
def test_there_are_exactly_as_many_codes_as_the_length_takes(
    settings: dict[str, Any], duration_s: float, codes: int
) -> None:
    plan = plan_of(song(duration_s=duration_s, **settings))
    assert plan.audio_codes is not None
    assert len(plan.audio_codes) == codes


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_song_in_a_batch_is_the_song_alone(settings: dict[str, Any]) -> None:
    requests = [
        song(**SHORT, **settings),
        song(**SHORT, seed=1, **{**settings, "lyrics": "[verse]\n" + "and on and on\n" * 8}),
        song(duration_s=1.0, seed=2, **settings),
        song(seed=3, longest_s=11, **settings),
    ]
    together = load_embedded_planner(songs_at_once=3).plan(requests)
    assert together == [plan_of(request) for request in requests]


def test_songs_with_different_settings_go_together() -> None:
    requests = [song(duration_s=2.0, seed=seed, **settings) for seed, settings in enumerate(SETTINGS)]
    requests += [song(task="cover", has_audio=True), song(thinking=False)]
    assert load_embedded_planner(songs_at_once=20).plan(requests) == PLANNER.plan(requests)


def test_a_seed_is_a_plan() -> None:
    plans = [plan_of(song(**SHORT, seed=seed)) for seed in (1, 2, 3, 1)]
    assert plans[0] == plans[3]
    assert len({plan.audio_codes for plan in plans}) == 3
    assert len({plan.caption for plan in plans}) == 3


@pytest.mark.parametrize(
    ("name", "value"), [("caption", "calm piano"), ("lyrics", "[Instrumental]"), ("lm_cfg_scale", 4.0), ("bpm", 99)]
)
def test_what_is_asked_for_moves_the_codes(name: str, value: Any) -> None:
    request = song(**SHORT, use_cot_metas=False)
    assert plan_of(request).audio_codes != plan_of(replace(request, **{name: value})).audio_codes


def test_a_negative_prompt_counts_only_where_it_means_something() -> None:
    request = song(**SHORT)
    assert plan_of(replace(request, lm_negative_prompt=" ")) == plan_of(request)
    assert plan_of(replace(request, lm_negative_prompt="noise")) != plan_of(request)


def test_the_last_word_on_lengths_is_the_lower_of_two() -> None:
    assert all(plan_of(song(seed=seed, longest_s=11)).duration_s in (10, 11) for seed in range(4))
    free = plan_of(song(use_cot_metas=False, longest_s=3))
    assert free.audio_codes is not None
    assert len(free.audio_codes) <= 15
    assert free.duration_s == len(free.audio_codes) / 5


def test_thinking_off_plans_metadata_only() -> None:
    plan = plan_of(song(thinking=False))
    assert plan.audio_codes is None
    assert plan.thought == ""
    assert plan.bpm is not None


def test_without_constraints_the_plan_says_what_it_lacks() -> None:
    plan = plan_of(song(**SHORT, use_constrained_decoding=False, bpm=90, lm_cfg_scale=1.0))
    assert plan.bpm == 90
    assert len(plan.audio_codes or ()) == 20 or "audio codes" in plan.notes[-1]


def test_a_song_that_needs_no_planner_takes_no_model() -> None:
    class Untouchable(Qwen3ForCausalLM):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError("the model was called")

    model = embedded_model(PLANNER.vocabulary)
    planner = Planner(Untouchable(model.config), PLANNER.vocabulary)
    requests = [song(task="cover", has_audio=True), song(use_cot_metas=False, thinking=False)]
    assert [plan.audio_codes for plan in planner.plan(requests)] == [None, None]
    with pytest.raises(AssertionError, match="the model was called"):
        planner.plan([song()])


def naive_codes(request: PlannerRequest, thought: str, wanted: int) -> tuple[int, ...]:
    """The codes by reading everything again for every token, each side by itself."""
    model, words = PLANNER.model, PLANNER.vocabulary
    sides = [
        words.encode(plan_text.codes_prompt(request.caption, request.lyrics, thought)),
        words.encode(plan_text.codes_prompt_without(request.caption, request.lyrics, request.lm_negative_prompt)),
    ]
    generator, cursor, tokens = token_stream(request.seed), Grammar(words).codes(wanted, wanted), list[int]()
    while not cursor.is_over:
        cond, uncond = (model(torch.tensor([side + tokens])).logits[0, -1] for side in sides)
        ids = torch.from_numpy(cursor.allowed)
        logits = guided(cond, uncond, request.lm_cfg_scale)[ids]
        tokens.append(draw_token(logits, ids, {*sides[0], *tokens}, Sampling.of(request), generator))
        cursor = cursor.push(tokens[-1])
    return read_codes(words.decode(tokens))


@torch.inference_mode()
def test_the_cache_and_the_padding_change_nothing() -> None:
    request = song(**SHORT, use_cot_metas=False, lm_repetition_penalty=1.1)
    plan = plan_of(request)
    assert plan.audio_codes == naive_codes(request, "<think>\nduration: 4\n</think>", 20)


def test_progress_is_told_and_can_stop_the_work() -> None:
    seen: list[tuple[int, int]] = []
    PLANNER.plan([song(**SHORT, use_cot_metas=False)], lambda done, total: seen.append((done, total)))
    assert seen == [(done, 20) for done in range(1, 21)]

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PLANNER.plan([song(**SHORT)], stop)


def test_what_cannot_be_planned_is_refused_before_any_work() -> None:
    seen: list[int] = []
    requests = [song(**SHORT), song(lyrics="la la la\n" * 8000), song(bpm=7), song(duration_s=601.0)]
    with pytest.raises(Refused, match=r"planner: .* tokens; the planner has room for 32,768") as refused:
        PLANNER.plan(requests, lambda done, _: seen.append(done))
    assert len(refused.value.problems) == 3
    assert seen == []


def test_plans_do_not_touch_the_global_random_numbers() -> None:
    before = torch.random.get_rng_state()
    plan_of(song(**SHORT))
    load_embedded_planner()
    assert torch.equal(torch.random.get_rng_state(), before)
