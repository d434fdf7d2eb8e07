/** Asking for a name in the page's dialog. */
import { byId, label, make, makeButton } from "./dom.js";

const MAX_NAME = 80;

/**
 * Ask for a name, and return it, or null where the user thinks otherwise.
 *
 * @param {string} heading
 * @param {string} name as it is
 * @returns {Promise<string|null>}
 */
export function askName(heading, name) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("dialog"));
  const field = make("input", { type: "text", maxlength: MAX_NAME, value: name, autocomplete: "off" });
  return new Promise((resolve) => {
    /** @type {string|null} */
    let answer = null;
    const save = () => {
      answer = field.value.trim() || null;
      dialog.close();
    };
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // else it presses the button that has the focus then
      save();
    });
    dialog.setAttribute("aria-label", heading);
    dialog.replaceChildren(
      make("h2", { text: heading }),
      label("Name", field),
      make("p", { class: "group" }, makeButton("Save", save, { class: "primary" }), makeButton("Cancel", () => dialog.close())),
    );
    dialog.addEventListener("close", () => resolve(answer), { once: true });
    dialog.showModal();
    field.select();
  });
}
