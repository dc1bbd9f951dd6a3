
(() => {
  "use strict";

  // What the address points to; it may be no valid one.
  function linked() {
    try {
      return document.getElementById(decodeURIComponent(location.hash.slice(1)));
    } catch {
      return null;
    }
  }

  // What is shown stands in the address, so that a filtered view can be kept and handed on.
  function rememberFilters(wanted) {
    const address = new URL(location.href);
    address.search = new URLSearchParams(wanted.flatMap(({ by, values }) => values.map((value) => [by, value])));
    try {
      history.replaceState(null, "", address);
    } catch {
      return; // a page opened from disk may be refused it
    }
  }

  function filterClaims() {
    const filters = document.querySelector(".filters");
    if (!filters) return;
    const groups = [...filters.querySelectorAll(".filter-group")];
    const buttons = [...filters.querySelectorAll(".filter")];
    const clear = filters.querySelector(".clear");
    const claims = [...document.querySelectorAll(".claims tbody")];
    const pressed = (button) => button.getAttribute("aria-pressed") === "true";
    const apply = () => {
      // Of one group, any that is pressed will do; a claim has to suit every group.
      const wanted = groups.map((group) => ({
        by: group.dataset.by,
        values: [...group.querySelectorAll(".filter")].filter(pressed).map((button) => button.dataset.value),
      }));
      for (const claim of claims) {
        claim.hidden = !wanted.every(({ by, values }) => values.length === 0 || values.includes(claim.dataset[by]));
      }
      const shown = claims.filter((claim) => !claim.hidden).length;
      const all = !buttons.some(pressed);
      clear.hidden = all;
      const noun = claims.length === 1 ? "claim" : "claims";
      filters.querySelector(".shown").textContent = all ? `${shown} ${noun}` : `${shown} of ${claims.length} ${noun}`;
      return wanted;
    };
    const press = (wanted) => {
      for (const button of buttons) button.setAttribute("aria-pressed", String(wanted(button)));
      rememberFilters(apply());
    };
    for (const button of buttons) {
      button.addEventListener("click", () => press((each) => pressed(each) !== (each === button)));
    }
    clear.addEventListener("click", () => {
      press(() => false);
      buttons[0].focus();
    });
    const asked = new URLSearchParams(location.search);
    const isAsked = (button) => asked.getAll(button.closest(".filter-group").dataset.by).includes(button.dataset.value);
    if (buttons.some(isAsked)) {
      for (const button of buttons) button.setAttribute("aria-pressed", String(isAsked(button)));
      apply();
    }
    // A link to a claim that the filter hides must still arrive.
    const arrive = () => {
      const target = linked();
      if (target?.closest(".claims tbody")?.hidden) {
        press(() => false);
        target.scrollIntoView();
      }
    };
    addEventListener("hashchange", arrive);
    arrive();
  }

  function unfoldClaims() {
    const buttons = [...document.querySelectorAll(".unfold")];
    const behind = (button) => document.getElementById(button.getAttribute("aria-controls"));
    const isOpen = (button) => button.getAttribute("aria-expanded") === "true";
    const toggle = (button, open) => {
      button.setAttribute("aria-expanded", String(open));
      const content = behind(button);
      content.hidden = open ? false : "until-found";
      content.closest("tr").ariaHidden = open ? null : "true";
    };
    for (const button of buttons) {
      toggle(button, false);
      behind(button).addEventListener("beforematch", () => toggle(button, true));
      button.closest("tr").addEventListener("click", (event) => {
        if (event.target.closest("a") || getSelection().type === "Range") return;
        toggle(button, !isOpen(button));
      });
    }
    const all = document.querySelector(".unfold-all");
    all?.addEventListener("click", () => {
      const open = all.getAttribute("aria-pressed") !== "true";
      all.setAttribute("aria-pressed", String(open));
      all.textContent = open ? "Close every line" : "Open every line";
      for (const button of buttons) toggle(button, open);
    });
    // Whoever follows a link to a claim wants to read it.
    const arrive = () => {
      const button = linked()?.querySelector(".unfold");
      if (button) toggle(button, true);
    };
    addEventListener("hashchange", arrive);
    arrive();
  }

  document.addEventListener("DOMContentLoaded", () => {
    filterClaims();
    unfoldClaims();
  });
})();
