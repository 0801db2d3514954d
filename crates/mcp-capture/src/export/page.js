(() => {
  const rows = [...document.querySelectorAll(".row")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const search = document.getElementById("search");
  const bad = document.getElementById("bad");
  const count = document.getElementById("count");
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, at) => {
      const fits = words.every((word) => texts[at].includes(word)) && (!bad.checked || row.classList.contains("bad"));
      row.hidden = !fits;
      shown += fits ? 1 : 0;
    });
    count.textContent = `${shown} of ${rows.length}`;
  };
  search.addEventListener("input", show);
  bad.addEventListener("change", show);
  document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("open").addEventListener("click", () => rows.forEach((row) => { row.open = !row.hidden; }));
  document.getElementById("shut").addEventListener("click", () => rows.forEach((row) => { row.open = false; }));
  show();
})();
