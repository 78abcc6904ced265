// Filters the table of claims by verdict and by chapter. Without this script the table stays whole.
document.addEventListener("DOMContentLoaded", () => {
  const table = document.querySelector("table.claims");
  if (!table) return;
  const rows = [...table.tBodies[0].rows].map((row) => ({
    row,
    verdict: row.querySelector(".sd-badge").textContent,
    chapter: row.cells[3].textContent.split(", ").filter((name) => name),
  }));
  const chosen = { verdict: new Set(), chapter: new Set() }; // an empty choice means all
  const said = document.createElement("p");
  said.setAttribute("role", "status");
  const bar = document.createElement("form");
  bar.className = "claims-filter";

  function show() {
    const fits = (of, kind) => !chosen[kind].size || [of[kind]].flat().some((name) => chosen[kind].has(name));
    for (const one of rows) one.row.hidden = !(fits(one, "verdict") && fits(one, "chapter"));
    said.textContent = `${rows.filter((one) => !one.row.hidden).length} of ${rows.length} claims shown`;
  }

  function group(kind) {
    const box = document.createElement("fieldset");
    box.append(Object.assign(document.createElement("legend"), { textContent: kind }));
    const names = [...new Set(rows.flatMap((one) => one[kind]))];
    names.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    for (const name of names) {
      const tick = Object.assign(document.createElement("input"), { type: "checkbox", value: name });
      tick.addEventListener("change", () => {
        chosen[kind][tick.checked ? "add" : "delete"](name);
        show();
      });
      const label = document.createElement("label");
      label.append(tick, ` ${name}`);
      box.append(label);
    }
    return box;
  }

  bar.append(group("verdict"), group("chapter"), said);
  (table.closest(".pst-scrollable-table-container") ?? table).before(bar);
  show();
});
