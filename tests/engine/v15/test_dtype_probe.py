"""Types that a device computes in pass the trial; others are refused with what helps."""

from __future__ import annotations

import pytest

from acestep_batch.engine.v15.dtype_probe import check_dtype
from acestep_batch.engine.v15.dtypes import DTYPES
from acestep_batch.problems import Refused


@pytest.mark.parametrize("setting", DTYPES)
def test_a_processor_computes_in_every_type_that_can_be_asked_for(setting: str) -> None:
    check_dtype(setting, "cpu")


@pytest.mark.parametrize("setting", ["float8_e4m3fn", "int8", "complex64"])
def test_a_type_that_a_device_has_no_sums_for_is_refused(setting: str) -> None:
    with pytest.raises(Refused, match=rf"model.dtype={setting}: cpu (does not compute in it|computes something else)"):
        check_dtype(setting, "cpu")


def test_automatic_types_need_no_trial() -> None:
    check_dtype("auto", "a device that there is not")
