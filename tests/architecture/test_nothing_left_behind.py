"""Running the tests changes nothing of the person who runs them."""

import os
import subprocess
import sys
from pathlib import Path


def test_prefect_in_a_test_leaves_the_home_folder_alone(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", "import prefect"], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_no_setting_of_the_persons_own_prefect_reaches_a_test() -> None:
    assert [name for name in os.environ if name.startswith("PREFECT_")] == ["PREFECT_HOME"]
