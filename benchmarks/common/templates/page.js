// A click on a column's head sorts by it: the best first where one is, a second click reverses.
"use strict";
const reversed = { ascending: "descending", descending: "ascending" };

// Numbers before texts, such as the dash for "none", in either order.
function compare(a, b, sign) {
  const [x, y] = [parseFloat(a), parseFloat(b)];
  if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
  return sign * (isNaN(x) ? a.localeCompare(b) : x - y);
}

for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.firstElementChild.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const order = reversed[before] ?? head.dataset.first ?? "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const text = (row) => row.cells[column].textContent;
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort((a, b) => compare(text(a), text(b), sign)));
    });
  });
}
