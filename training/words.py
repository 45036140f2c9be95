"""What the embedded model understands: every word of its prompts, and what each stands for. Data only."""

from __future__ import annotations

from collections.abc import Mapping

Synonyms = Mapping[str, tuple[str, ...]]
"""What a clip has, to the phrases that say so; the first phrase is the plain one."""

LEADS: Synonyms = {
    "piano": ("piano", "piano melody", "grand piano", "pianist"),
    "guitar": ("guitar", "acoustic guitar", "guitar melody", "fingerpicked guitar"),
    "synth": ("synth", "synthesizer", "synth lead", "lead synth"),
    "bells": ("bells", "glockenspiel", "music box", "chimes"),
    "flute": ("flute", "flute solo", "recorder", "woodwind"),
    "strings": ("strings", "violin", "orchestral strings", "fiddle"),
    "organ": ("organ", "hammond organ", "church organ", "organ melody"),
    "vocals": ("vocals", "singing", "singer", "voice"),
}
ACCOMPANIMENTS: Synonyms = {
    "pad": ("pad", "synth pad", "warm pad", "pulsing pad"),
    "strumming": ("strumming", "strummed chords", "strummed guitar", "guitar chords"),
    "arpeggio": ("arpeggio", "arpeggiator", "sequencer", "arpeggiated chords"),
    "bass": ("bass", "bassline", "synth bass", "bass line"),
    "electric piano": ("electric piano", "rhodes", "e-piano", "electric piano chords"),
    "brass": ("brass", "horns", "brass section", "trumpets"),
}
DRUMS: Mapping[bool, tuple[str, ...]] = {
    True: ("drums", "drum beat", "with drums", "percussion"),
    False: ("no drums", "without drums", "drumless", "no percussion"),
}
GENRES: Synonyms = {
    "pop": ("pop", "pop song", "radio pop"),
    "rock": ("rock", "rock band", "garage rock", "indie rock"),
    "electronic": ("electronic", "edm", "techno", "house", "dance"),
    "jazz": ("jazz", "swing", "jazzy"),
    "folk": ("folk", "country", "singer-songwriter"),
    "classical": ("classical", "orchestral", "baroque"),
    "hip hop": ("hip hop", "hip-hop", "trap", "boom bap"),
    "ambient": ("ambient", "new age", "atmospheric", "soundscape"),
}
MOODS: Synonyms = {
    "happy": ("happy", "cheerful", "joyful", "uplifting"),
    "sad": ("sad", "melancholic", "sorrowful", "melancholy"),
    "calm": ("calm", "chill", "relaxed", "peaceful", "gentle"),
    "energetic": ("energetic", "driving", "powerful", "exciting"),
    "dark": ("dark", "gloomy", "ominous", "moody"),
    "dreamy": ("dreamy", "ethereal", "floating", "airy"),
}
MOOD_MODES: Mapping[str, tuple[str, ...]] = {
    "happy": ("major",),
    "sad": ("minor",),
    "calm": ("major", "minor"),
    "energetic": ("major", "minor"),
    "dark": ("minor",),
    "dreamy": ("major", "minor"),
}
"""Modes that a mood is played in."""
TEMPOS: Synonyms = {
    "slow": ("slow", "slow tempo", "ballad"),
    "mid-tempo": ("mid-tempo", "medium tempo", "moderate tempo"),
    "fast": ("fast", "fast tempo", "up-tempo", "uptempo"),
}
TEMPO_ENDS_BPM: Mapping[str, tuple[float, float]] = {"slow": (0, 84), "mid-tempo": (84, 118), "fast": (118, 1_000)}
"""From, inclusive, and to, exclusive."""
TONICS: Mapping[str, tuple[str, ...]] = {
    "C": ("C",),
    "C#": ("C#", "Db"),
    "D": ("D",),
    "D#": ("Eb", "D#"),
    "E": ("E",),
    "F": ("F",),
    "F#": ("F#", "Gb"),
    "G": ("G",),
    "G#": ("Ab", "G#"),
    "A": ("A",),
    "A#": ("Bb", "A#"),
    "B": ("B",),
}
"""Tonics as `acestep_batch.measure.tonality` names them, to their spellings."""
MODES = ("major", "minor")
METRES: Mapping[int, tuple[str, ...]] = {4: (), 3: ("waltz", "3/4")}
"""Beats of a bar, to what says so; four beats need no word."""
LEAST_BPM, MOST_BPM = 62, 170
"""Integers before `bpm` that are understood; see `training.tempo` for what is played."""
