// The API key, kept in this page's memory only: in no cookie, storage or URL.

import { byId } from "./dom.js";

let key = "";

/** Whether a key is set. */
export const hasKey = () => key !== "";

/** The headers that send the key. */
export const authorization = () => (key ? { Authorization: `Bearer ${key}` } : {});

/**
 * * Asks for a key until the service accepts one.
 * * @param begin starts the page; throws while the service answers 401
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
      refused.textContent = error.status === 401 ? "The service does not know this key." : error.message;
      refused.hidden = false;
      field.setAttribute("aria-invalid", "true");
      field.focus();
    }
  });
}
