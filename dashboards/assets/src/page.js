// Small comforts that every page works without: one submission per click, keys, mobile menu, plain copying.
"use strict";

function disableAfterSubmit(event) {
  const form = event.target;
  if (form.dataset.submitted) {
    event.preventDefault();
    return;
  }
  form.dataset.submitted = "yes";
  for (const button of form.querySelectorAll("button[type=submit]")) {
    button.setAttribute("aria-disabled", "true");
    button.classList.add("is-busy");
  }
}

function onKey(event) {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = /^(input|textarea|select)$/i.test(event.target.tagName);
  if (event.key === "/" && !typing) {
    const field = document.querySelector("[data-search]");
    if (field) {
      event.preventDefault();
      field.focus();
    }
  }
  if (event.key === "Escape") {
    for (const open of document.querySelectorAll("details[data-closable][open]")) open.open = false;
  }
}

// Copying an amount gives the plain number, without separators, so that it can be pasted into a sheet.
function onCopy(event) {
  const text = String(document.getSelection());
  if (/^\s*[-−]?\d{1,3}(,\d{3})+(\.\d+)?\s*$/.test(text)) {
    event.clipboardData.setData("text/plain", text.trim().replace(/,/g, "").replace("−", "-"));
    event.preventDefault();
  }
}

function filterRows(event) {
  const field = event.target;
  const table = document.getElementById(field.dataset.filters);
  const wanted = field.value.trim().toLowerCase();
  for (const row of table.tBodies[0].rows) {
    row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
  }
}

// A phone's photo is made smaller before it is sent: the line in a village is slow, and large files are refused.
async function shrunk(file) {
  const longest = 1600;
  if (!/^image\/(jpeg|png)$/.test(file.type) || file.size < 600_000) return file;
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.82));
  return blob && blob.size < file.size ? new File([blob], "photo.jpg", { type: "image/jpeg" }) : file;
}

async function shrinkPhotos(event) {
  const field = event.target;
  const button = field.form.querySelector("button[type=submit]");
  button.disabled = true;
  try {
    const kept = new DataTransfer();
    for (const file of field.files) kept.items.add(await shrunk(file));
    field.files = kept.files;
  } finally {
    button.disabled = false;
  }
}

for (const field of document.querySelectorAll("input[data-shrink]")) field.addEventListener("change", shrinkPhotos);
document.addEventListener("submit", disableAfterSubmit);
document.addEventListener("keydown", onKey);
document.addEventListener("copy", onCopy);
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-autosubmit]")) event.target.form.requestSubmit();
});
for (const field of document.querySelectorAll("[data-filters]")) field.addEventListener("input", filterRows);
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-submitted]")) delete form.dataset.submitted;
});
