// The key of a service that asks who comes. It is kept in this page's memory alone: no cookie, no
// storage, and in no address.

import { byId } from "./dom.js";

let key = "";

/** Whether one was given. */
export const hasKey = () => key !== "";

/** What it adds to a request's headers. */
export const authorization = () => (key ? { Authorization: `Bearer ${key}` } : {});

/**
 * Asks for the key until one is let in.
 * @param begin starts the page; it throws while the service says 401
 */
export function askForKey(begin) {
  const [form, field, refused] = ["key-form", "key", "key-error"].map(byId);
  form.hidden = false;
  document.body.dataset.state = "asking";
  field.focus();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    key = field.value.trim();
    refused.hidden = true;
    document.body.dataset.state = "loading";
    try {
      await begin();
      field.removeAttribute("aria-invalid");
      form.hidden = true;
      field.value = "";
    } catch (error) {
      key = "";
      document.body.dataset.state = "asking";
      refused.textContent = error.status === 401 ? "No such key is known here." : error.message;
      refused.hidden = false;
      field.setAttribute("aria-invalid", "true");
      field.focus();
    }
  });
}
