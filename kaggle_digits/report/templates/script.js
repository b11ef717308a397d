"use strict";
(() => {
  const runs = JSON.parse(document.getElementById("cells").textContent);
  const columns = {{ columns }};

  // ---- tables: a heading sorts by its column, empty values come last
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value ?? cell.textContent.trim();
  };
  const sortBy = (heading) => {
    const body = heading.closest("table").tBodies[0];
    const column = heading.cellIndex;
    const numeric = heading.dataset.kind === "number";
    const down = heading.getAttribute("aria-sort") === "ascending" ||
      (numeric && heading.getAttribute("aria-sort") !== "descending");
    const compare = (a, b) => {
      const [left, right] = [valueOf(a, column), valueOf(b, column)];
      if (left === "" || right === "") return (left === "") - (right === "");
      const order = numeric ? Number(left) - Number(right) : left.localeCompare(right, "en");
      return down ? -order : order;
    };
    [...body.rows].sort(compare).forEach((row) => body.append(row));
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  };
  for (const button of document.querySelectorAll("table.sortable thead button")) {
    button.addEventListener("click", () => sortBy(button.closest("th")));
  }

  const filter = document.getElementById("runs-filter");
  filter?.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    const rows = [...document.getElementById(filter.dataset.table).tBodies[0].rows];
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    const shown = rows.filter((row) => !row.hidden).length;
    document.getElementById("runs-count").textContent =
      wanted ? `${shown} of ${rows.length} runs shown` : "";
  });

  // ---- confusion matrices: a cell shows the images behind it; values are inserted as text, never as HTML
  const element = (name, kind, text) => {
    const made = document.createElement(name);
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const showImage = ([id, place, probability]) => {
    const item = element("li"), figure = element("figure"), caption = element("figcaption");
    const picture = element("span", place < 0 ? "picture empty" : "picture");
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", place < 0 ? `image ${id}, not shown` : `image ${id}`);
    picture.style.setProperty("--column", place % columns);
    picture.style.setProperty("--row", Math.floor(place / columns));
    caption.append(
      element("span", "id", `id ${id}`),
      element("span", "", `p(label) ${probability.toFixed(3)}`),
    );
    figure.append(picture, caption);
    item.append(figure);
    return item;
  };
  const showCell = (button) => {
    const table = button.closest("table");
    const number = Number(table.dataset.run);
    const target = document.getElementById(`cell-${number + 1}`);
    const wasShown = button.getAttribute("aria-pressed") === "true";
    for (const other of table.querySelectorAll("button[data-cell]")) {
      other.setAttribute("aria-pressed", "false");
    }
    if (wasShown) { target.replaceChildren(); return; }
    button.setAttribute("aria-pressed", "true");
    const { names, cells } = runs[number];
    const [label, predicted] = button.dataset.cell.split("-").map(Number);
    const { count, images } = cells[button.dataset.cell];
    const some = images.length < count ? `, the ${images.length} least certain shown` : "";
    const list = element("ul", "pictures");
    list.append(...images.map(showImage));
    target.replaceChildren(
      element("p", "", `Label ${names[label]}, predicted ${names[predicted]}: ` +
        `${count} image${count === 1 ? "" : "s"}${some}.`),
      list,
    );
  };
  for (const button of document.querySelectorAll("button[data-cell]")) {
    button.addEventListener("click", () => showCell(button));
  }

  // ---- arrow keys move between the numbers of a matrix
  for (const table of document.querySelectorAll("table.confusion")) {
    table.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      const cell = event.target.closest("td");
      if (!step || !cell) return;
      event.preventDefault();
      let [row, column] = [cell.parentNode.rowIndex + step[0], cell.cellIndex + step[1]];
      for (; table.rows[row]?.cells[column]; row += step[0], column += step[1]) {
        const button = table.rows[row].cells[column].querySelector("button");
        if (button) { button.focus(); return; }
      }
    });
  }
})();
