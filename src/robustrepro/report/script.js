(() => {
  "use strict";

  const MEMORY = "robustrepro-theme";
  const THEMES = { auto: "automatic", light: "light", dark: "dark" };

  // A page opened from disk may be refused its storage; the toggle then works without memory.
  function recall() {
    try {
      const theme = localStorage.getItem(MEMORY);
      return theme in THEMES ? theme : "auto";
    } catch {
      return "auto";
    }
  }

  function remember(theme) {
    try {
      localStorage.setItem(MEMORY, theme);
    } catch {
      return;
    }
  }

  // Set while the head is read, so that no page is drawn in the wrong colours first.
  document.documentElement.dataset.theme = recall();

  function followTheme() {
    const button = document.querySelector(".theme");
    const show = (theme) => {
      document.documentElement.dataset.theme = theme;
      button.querySelector(".theme-name").textContent = theme;
      button.setAttribute("aria-label", `Colour theme: ${THEMES[theme]}`);
    };
    show(recall());
    button.addEventListener("click", () => {
      const names = Object.keys(THEMES);
      const next = names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length];
      remember(next);
      show(next);
    });
  }

  function compare(a, b) {
    const [x, y] = [Number(a), Number(b)];
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
  }

  // A row and the origins of its numbers share a tbody, so they move together. Third press: the paper's order.
  function sortTables() {
    for (const table of document.querySelectorAll("table.sortable")) {
      const original = [...table.tBodies];
      const headers = [...table.tHead.querySelectorAll("th[aria-sort]")];
      const numeric = (header) => header.classList.contains("numeric");
      table.tHead.addEventListener("click", (event) => {
        const header = event.target.closest(".sort")?.closest("th");
        if (!header) return;
        // Numbers are looked at from the largest down, names from A.
        const cycle = numeric(header) ? ["none", "descending", "ascending"] : ["none", "ascending", "descending"];
        const order = cycle[(cycle.indexOf(header.getAttribute("aria-sort")) + 1) % 3];
        for (const other of headers) other.setAttribute("aria-sort", "none");
        header.setAttribute("aria-sort", order);
        const column = Number(header.dataset.column);
        const value = (body) => body.rows[0].cells[column].dataset.value;
        const rows = [...original];
        if (order !== "none") {
          const sign = order === "ascending" ? 1 : -1;
          rows.sort((a, b) => {
            const [x, y] = [value(a), value(b)];
            // What was not measured stays last, whichever the order.
            if (x === "" || y === "") return (x === "") - (y === "");
            return sign * compare(x, y);
          });
        }
        table.append(...rows);
      });
    }
  }

  function followReading() {
    const menu = document.querySelector(".menu");
    const nav = document.getElementById("contents");
    const close = () => menu.setAttribute("aria-expanded", "false");
    menu.addEventListener("click", () => menu.setAttribute("aria-expanded", String(menu.getAttribute("aria-expanded") !== "true")));
    nav.addEventListener("click", (event) => event.target.closest("a") && close());
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || menu.getAttribute("aria-expanded") !== "true") return;
      close();
      menu.focus();
    });
    const observer = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          const link = nav.querySelector(`a[href="#${CSS.escape(target.id)}"]`);
          if (isIntersecting) link?.setAttribute("aria-current", "true");
          else link?.removeAttribute("aria-current");
        }
      },
      { rootMargin: "-15% 0px -80% 0px" },
    );
    for (const section of document.querySelectorAll("[data-spy]")) observer.observe(section);
  }

  document.addEventListener("DOMContentLoaded", () => {
    followTheme();
    sortTables();
    followReading();
  });
})();
