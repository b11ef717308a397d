import pytest

from kaggle_digits.errors import InputError
from kaggle_digits.optional_packages import require_packages


@pytest.mark.parametrize(
    ("folder", "on_path", "shown"),
    [
        ("shop/.venv/bin", True, "pip install 'kaggle-digits[app]'"),
        ("shop/.venv/bin", False, ".venv/bin/python -m pip install 'kaggle-digits[app]'"),
        ("other place", False, "'{tmp}/other place/python' -m pip install 'kaggle-digits[app]'"),
    ],
)
def test_a_missing_package_is_installed_with_this_pythons_pip(
    folder, on_path, shown, monkeypatch, tmp_path
):
    for path in (tmp_path / folder, tmp_path / "system"):
        path.mkdir(parents=True)
        (path / "pip").touch(mode=0o755)
    (tmp_path / "shop").mkdir(exist_ok=True)
    monkeypatch.setattr("sys.executable", str(tmp_path / folder / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / (folder if on_path else "system")))
    monkeypatch.chdir(tmp_path / "shop")
    with pytest.raises(InputError) as raised:
        require_packages(["nosuch"], extra="app", needed_by="the page")
    expected = shown.replace("{tmp}", str(tmp_path))
    assert str(raised.value) == (
        f"the page needs nosuch, which is not installed. Install it with: {expected}"
    )
