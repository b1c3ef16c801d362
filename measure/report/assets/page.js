// The per-image table: sorted by a click on a heading, filtered by name, drawn a few rows at a time.
const { textColumns, firstSort, rows, pictures = {} } = JSON.parse(document.getElementById("image-data").textContent);
const table = document.getElementById("images");
const headings = [...table.tHead.rows[0].cells];
const filter = document.getElementById("filter");
const count = document.getElementById("count");
const more = document.getElementById("more");
const FIRST_ROWS = 25;
const MORE_ROWS = 100;
const pictureOf = new Map(rows.map((row, place) => [row, pictures[place]]));
let order = rows;
let visible = FIRST_ROWS;

const compareNames = new Intl.Collator(undefined, { numeric: true }).compare;

function compare(a, b, column, sign) {
  // a missing score stands last in either direction
  if (a[column] === null || b[column] === null) return (a[column] === null) - (b[column] === null);
  return sign * (column < textColumns ? compareNames(a[column], b[column]) : a[column] - b[column]);
}

function draw() {
  const wanted = filter.value.trim().toLowerCase();
  const found = order.filter((row) => row.slice(0, textColumns).join(" ").toLowerCase().includes(wanted));
  const body = document.createElement("tbody");
  for (const row of found.slice(0, visible)) {
    const line = body.insertRow();
    row.forEach((value, column) => {
      const cell = line.insertCell();
      cell.textContent = value === null ? "–" : column < textColumns ? value : value.toFixed(3);
      if (column < textColumns) cell.className = "text";
    });
    if (pictureOf.get(row)) offerPicture(line, row);
  }
  table.tBodies[0].replaceWith(body);
  count.textContent = `${Math.min(visible, found.length)} of ${found.length} rows`;
  more.hidden = visible >= found.length;
}

function offerPicture(line, row) {
  line.className = "has-picture";
  line.tabIndex = 0;
  line.addEventListener("click", () => togglePicture(line, row));
  line.addEventListener("keydown", (event) => event.key === "Enter" && togglePicture(line, row));
}

function togglePicture(line, row) {
  const below = line.nextElementSibling;
  if (below && below.className === "picture") {
    below.remove();
    return;
  }
  const shown = line.parentNode.insertRow(line.sectionRowIndex + 1);
  shown.className = "picture";
  const cell = shown.insertCell();
  cell.colSpan = headings.length;
  const image = document.createElement("img");
  image.src = pictureOf.get(row);
  image.alt = row.slice(0, textColumns).join(", ");
  cell.append(image);
}

function sortBy(column) {
  const ascending = headings[column].getAttribute("aria-sort") !== "ascending";
  headings.forEach((heading) => heading.removeAttribute("aria-sort"));
  headings[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
  order = [...rows].sort((a, b) => compare(a, b, column, ascending ? 1 : -1));
  visible = FIRST_ROWS;
  draw();
}

headings.forEach((heading, column) => {
  heading.tabIndex = 0;
  heading.addEventListener("click", () => sortBy(column));
  heading.addEventListener("keydown", (event) => event.key === "Enter" && sortBy(column));
});
filter.addEventListener("input", () => { visible = FIRST_ROWS; draw(); });
more.addEventListener("click", () => { visible += MORE_ROWS; draw(); });
sortBy(firstSort);
