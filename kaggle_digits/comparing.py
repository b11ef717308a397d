"""Compare submissions and runs, for notebooks. Jupyter shows the result as short tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kaggle_digits import files, runs, submissions
from kaggle_digits.errors import InputError
from kaggle_digits.results import FinishedRun, open_run, require_list

if TYPE_CHECKING:
    import pandas as pd

    from kaggle_digits.submissions import comparison


@dataclass(frozen=True, eq=False)
class FileComparison:
    """Agreement and differences of submissions.

    Attributes:
        details: all figures of the comparison.

    Example:
        >>> found = kd.compare(["submissions/sample.csv", "runs/example"])
        >>> found.agreement.shape
        (2, 2)

    """

    details: "comparison.Comparison"

    @property
    def agreement(self) -> "pd.DataFrame":
        """Share of images on which two files agree, 0-1, shape files × files."""
        import pandas as pd

        names = list(self.details.names)
        return pd.DataFrame(self.details.agreement, index=names, columns=names)

    @property
    def disputed(self) -> "pd.DataFrame":
        """The files' labels of each disputed image, the image with the most disagreement first."""
        import pandas as pd

        rows = self.details.disputed
        table = pd.DataFrame(
            self.details.labels[:, rows].T,
            index=pd.Index(self.details.ids[rows], name="ImageId"),
            columns=list(self.details.names),
        )
        table["majority"] = self.details.majority[rows]
        return table

    def __repr__(self) -> str:
        names, disputed = self.details.names, len(self.details.disputed)
        return f"<FileComparison of {', '.join(names)}: {disputed:,} disputed images>"

    def _repr_html_(self) -> str:
        return str(self.agreement.to_html()) + str(self.disputed.head(20).to_html())


def compare(items: Sequence[FinishedRun | str | Path]) -> FileComparison:
    """Compare submissions image by image.

    Args:
        items: two or more CSVs with ``ImageId,Label``, finished runs, or runs' folders.

    Returns:
        The agreement of each pair and the images on which the files differ.

    Raises:
        InputError: a file cannot be read, or the files have different image ids.

    Example:
        >>> found = kd.compare(["submissions/sample.csv", "runs/example"])
        >>> list(found.disputed.columns)
        ['submissions/sample.csv', 'runs/example', 'majority']

    """
    from kaggle_digits.submissions import comparison

    named = []
    for item in require_list("compare", items):
        if not isinstance(item, FinishedRun | str | Path):
            raise InputError(
                f"compare received {type(item).__name__}. Expected CSVs (of a blend: "
                "blend.write_submission), finished runs, or runs' folders."
            )
        path = item.folder if isinstance(item, FinishedRun) else files.expand_home(item)
        csv = runs.Run(open_run(path).folder).submission if path.is_dir() else path
        named.append((str(path), submissions.read(csv)))
    return FileComparison(comparison.compare(named))
