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

  function filterClaims() {
    const filters = document.querySelector(".filters");
    if (!filters) return;
    const kinds = [...filters.querySelectorAll(".filter-group")];
    const buttons = [...filters.querySelectorAll(".filter")];
    const clear = filters.querySelector(".clear");
    const claims = [...document.querySelectorAll(".claims tbody")];
    const pressed = (button) => button.getAttribute("aria-pressed") === "true";
    const apply = () => {
      // Of one kind of verdict, any that is pressed will do; a claim has to suit both kinds.
      const wanted = kinds.map((kind) => ({
        by: kind.dataset.by,
        verdicts: [...kind.querySelectorAll(".filter")].filter(pressed).map((button) => button.dataset.verdict),
      }));
      for (const claim of claims) {
        claim.hidden = !wanted.every(({ by, verdicts }) => verdicts.length === 0 || verdicts.includes(claim.dataset[by]));
      }
      const shown = claims.filter((claim) => !claim.hidden).length;
      const all = !buttons.some(pressed);
      clear.hidden = all;
      const noun = claims.length === 1 ? "claim" : "claims";
      filters.querySelector(".shown").textContent = all ? `${shown} ${noun}` : `${shown} of ${claims.length} ${noun}`;
    };
    const showAll = () => {
      for (const button of buttons) button.setAttribute("aria-pressed", "false");
      apply();
    };
    for (const button of buttons) {
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", String(!pressed(button)));
        apply();
      });
    }
    clear.addEventListener("click", () => {
      showAll();
      buttons[0].focus();
    });
    // A link to a claim that the filter hides must still arrive.
    addEventListener("hashchange", () => {
      const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      if (target?.closest(".claims tbody")?.hidden) {
        showAll();
        target.scrollIntoView();
      }
    });
  }

  function openOrigins() {
    const toggle = (button, open) => {
      button.setAttribute("aria-expanded", String(open));
      document.getElementById(button.getAttribute("aria-controls")).hidden = !open;
    };
    for (const button of document.querySelectorAll(".origin")) {
      button.addEventListener("click", () => toggle(button, button.getAttribute("aria-expanded") !== "true"));
    }
    for (const button of document.querySelectorAll(".open-all")) {
      const origins = button.closest("section").querySelectorAll(".origin");
      button.hidden = origins.length === 0;
      button.addEventListener("click", () => {
        const open = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(open));
        button.textContent = open ? "Close every origin" : "Open every origin";
        for (const origin of origins) toggle(origin, open);
      });
    }
  }

  function copyChecksums() {
    const announcement = document.querySelector(".announcement");
    document.addEventListener("click", async (event) => {
      const button = event.target.closest(".copy");
      if (!button) return;
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = "Copied";
        announcement.textContent = "Copied";
      } catch {
        // No clipboard here: select the whole sha256, ready for the reader's own copy.
        getSelection().selectAllChildren(button.previousElementSibling);
        announcement.textContent = "Selected; copy it with the keyboard";
      }
      setTimeout(() => {
        button.textContent = "Copy";
        announcement.textContent = "";
      }, 2000);
    });
  }

  function enlargeFigures() {
    const dialog = document.querySelector(".lightbox");
    for (const button of document.querySelectorAll(".enlarge")) {
      button.addEventListener("click", () => {
        const image = button.querySelector("img").cloneNode();
        dialog.querySelector(".canvas").replaceChildren(image);
        dialog.querySelector("p").textContent = image.alt;
        dialog.showModal();
      });
    }
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog || event.target.closest(".close")) dialog.close();
    });
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
    filterClaims();
    openOrigins();
    copyChecksums();
    enlargeFigures();
    followReading();
  });
})();
