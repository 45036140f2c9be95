"""The guide's advice on settings: a song's parameters against each other, its genres and its hardware profile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from acestep_batch.models import Family
from acestep_batch.parameter import plain_number
from acestep_batch.schema import SONG, SONG_OF
from acestep_batch.schema_song import LONGEST_S


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing that the guide advises against; a note is shown but is no warning."""

    rule: str
    key: str
    message: str
    note: bool = False


def word_set(text: str) -> frozenset[str]:
    """The words of a list written as text."""
    return frozenset(text.split())


ENERGETIC = word_set(
    "rock rap hiphop trap drill metal punk hardcore electronic edm techno dubstep drumbass dnb energetic"
)
"""Words of a prompt that ask for a high omega_scale; pairs of words are joined, as lint_text finds them."""

SMOOTH = word_set("jazz ambient background lofi chillout downtempo newage smooth relaxing calm chill")
"""Words of a prompt that ask for a low omega_scale."""


def advise_settings(
    settings: Mapping[str, Any],
    genres: frozenset[str],
    exempt: frozenset[str],
    recommended_steps: tuple[int, ...],
    recommended_guidance: tuple[int, ...],
    profile: str,
    model: str,
) -> tuple[Advice, ...]:
    """What the control guide advises on a song's settings.

    Args:
        settings: every parameter of a song by name, checked; ``audio_duration`` may be -1.
        genres: the words of the prompt that bear on omega_scale (``lint_text.genres_of``).
        exempt: the parameters whose value comes from a shipped preset or profile; a rule is silent when all the
            parameters it looks at are exempt.
        recommended_steps: lowest and highest infer_step that the profile recommends; empty for none.
        recommended_guidance: likewise for guidance_scale.
        profile: the hardware profile's name.
        model: the model's name.
    """
    found = [
        Advice(rule, keys[0], message, note=rule in _NOTES)
        for rule, keys, check in _RULES
        if not exempt.issuperset(keys) and (message := check(settings))
    ]
    if genres and "omega_scale" not in exempt and (message := _omega_against_genre(settings, genres)):
        found.append(Advice("omega-genre", "omega_scale", message))
    if model == "embedded" and settings["lyrics_language"] is not None:
        message = "has no effect on the embedded model, which reads letters as they are"
        found.append(Advice("language-unread", "lyrics_language", message, note=True))
    recommended = {"infer_step": recommended_steps, "guidance_scale": recommended_guidance}
    for key, bounds in recommended.items():
        if bounds and key not in exempt and (message := _outside_profile(settings, key, bounds, profile)):
            found.append(Advice("profile-range", key, message))
    for key, guide in _GUIDE_RANGES:
        if settings[key] not in guide and key not in exempt:
            value = plain_number(settings[key])
            found.append(Advice("guide-range", key, f"{value} is outside the guide's range; write {guide}"))
    return tuple(found)


def _few_steps(settings: Mapping[str, Any]) -> str:
    duration_s, steps = settings["audio_duration"], settings["infer_step"]
    low, high = (27, 50) if duration_s < 60 else (50, 60) if duration_s <= 120 else (80, 100)
    if duration_s < 0 or steps >= low or settings["oss_steps"]:
        return ""
    return f"{steps} steps are few for {duration_s:g} s; the guide uses {low} to {high}"


def _too_long(settings: Mapping[str, Any]) -> str:
    if settings["audio_duration"] <= LONGEST_S:
        return ""
    return f"{settings['audio_duration']:g} s is longer than the guide's maximum; write {LONGEST_S:g} or less"


def _overly_rigid(settings: Mapping[str, Any]) -> str:
    if not 23 <= settings["guidance_scale"] <= 25:
        return ""
    return f"the guide calls {settings['guidance_scale']:g} overly rigid and unnatural; write 15 to 17"


def _robotic(settings: Mapping[str, Any]) -> str:
    if settings["guidance_scale"] < 18 or settings["use_erg_lyric"] or settings["use_erg_diffusion"]:
        return ""  # use_erg_tag does not count: it has no effect without use_erg_lyric
    return (
        f"{settings['guidance_scale']:g} with ERG off can sound robotic; write 12 to 14, or switch use_erg_tag, "
        "use_erg_lyric and use_erg_diffusion on"
    )


def _loose(settings: Mapping[str, Any]) -> str:
    scale = settings["guidance_scale"]
    if scale >= 10 or scale in (0, 1) or not all(settings[key] for key in _ERG):
        return ""
    return f"{scale:g} with ERG on is loose and may ignore prompt and lyrics; write 12 to 17, or switch ERG off"


def _no_interval(settings: Mapping[str, Any]) -> str:
    return "" if settings["guidance_interval"] else "0 guides no step at all, which is not recommended; write 0.3 to 1"


def _minimum_without_decay(settings: Mapping[str, Any]) -> str:
    minimum = settings["min_guidance_scale"]
    if settings["guidance_interval_decay"] or minimum == SONG["min_guidance_scale"].default:
        return ""
    return f"{minimum:g} has no effect without a decay; set guidance_interval_decay (0.3 to 0.5), or leave this out"


def _one_double_condition(settings: Mapping[str, Any]) -> str:
    text, lyric = settings["guidance_scale_text"], settings["guidance_scale_lyric"]
    if (text > 1) == (lyric > 1):
        return ""
    return (
        f"{text:g} with guidance_scale_lyric {lyric:g} has no effect: double condition needs both above 1; set both "
        "(the guide's example: 8 and 12), or leave both at 0"
    )


def _experimental(settings: Mapping[str, Any]) -> str:
    return "the guide calls this experimental and not well tested; [] runs all steps" if settings["oss_steps"] else ""


def _tag_without_lyric(settings: Mapping[str, Any]) -> str:
    if settings["use_erg_lyric"] or not settings["use_erg_tag"]:
        return ""
    return "has no effect while use_erg_lyric is off, although the guide recommends the pair; false gives the same song"


def _omega_against_genre(settings: Mapping[str, Any], genres: frozenset[str]) -> str:
    energetic, smooth = genres & ENERGETIC, genres & SMOOTH
    omega = settings["omega_scale"]
    if settings["scheduler_type"] == "pingpong" or bool(energetic) == bool(smooth):
        return ""  # pingpong ignores omega_scale
    if energetic and omega < 10:
        return f"{omega:g} is flat for {min(energetic)}; the guide uses 11 to 12 for energetic music, 10 for most"
    if smooth and omega > 10:
        return f"{omega:g} is punchy for {min(smooth)}; the guide uses 8 to 9 for smooth music, 10 for most"
    return ""


def _outside_profile(settings: Mapping[str, Any], key: str, bounds: tuple[int, ...], profile: str) -> str:
    low, high = bounds
    if low <= settings[key] <= high or (key == "infer_step" and settings["oss_steps"]):
        return ""
    return f"{settings[key]:g} is outside of what the guide recommends for {profile}; write {low} to {high}"


_ERG = ("use_erg_tag", "use_erg_lyric", "use_erg_diffusion")
_NOTES = frozenset({"erg-tag-alone"})
_RULES: tuple[tuple[str, tuple[str, ...], Callable[[Mapping[str, Any]], str]], ...] = (
    ("few-steps", ("infer_step", "audio_duration"), _few_steps),
    ("too-long", ("audio_duration",), _too_long),
    ("rigid", ("guidance_scale",), _overly_rigid),
    ("robotic", ("guidance_scale", *_ERG), _robotic),
    ("loose", ("guidance_scale", *_ERG), _loose),
    ("no-interval", ("guidance_interval",), _no_interval),
    ("minimum-without-decay", ("min_guidance_scale", "guidance_interval_decay"), _minimum_without_decay),
    ("one-double-condition", ("guidance_scale_text", "guidance_scale_lyric"), _one_double_condition),
    ("oss-experimental", ("oss_steps",), _experimental),
    ("erg-tag-alone", ("use_erg_tag", "use_erg_lyric"), _tag_without_lyric),
)
_GUIDE_RANGES = tuple(
    (name, parameter.guide)
    for name, parameter in SONG_OF[Family.V1].items()
    if parameter.guide is not None and name != "audio_duration"  # too-long says it better
)
