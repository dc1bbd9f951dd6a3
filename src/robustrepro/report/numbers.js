
(() => {
  "use strict";

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
      const checksum = button.previousElementSibling;
      try {
        await navigator.clipboard.writeText(checksum.textContent);
        button.textContent = "Copied";
        announcement.textContent = "Copied";
      } catch {
        // No clipboard here: select the whole sha256, ready for the reader's own copy.
        getSelection().selectAllChildren(checksum);
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
    if (!dialog) return;
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

  document.addEventListener("DOMContentLoaded", () => {
    openOrigins();
    copyChecksums();
    enlargeFigures();
  });
})();
