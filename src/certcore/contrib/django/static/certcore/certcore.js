// The section works without this file: it copies texts, chooses all rows, and keeps live parts of a page quiet.
(function () {
  "use strict";
  const shown = {};

  function announce(text) {
    const place = document.getElementById("announcement");
    if (place && text) {
      place.textContent = "";
      window.setTimeout(function () { place.textContent = text; }, 50);
    }
  }

  // <button type="button" data-copy="text"> or data-copy-from="#id of the element whose text is copied".
  document.addEventListener("click", function (event) {
    const button = event.target.closest("[data-copy], [data-copy-from]");
    if (!button) { return; }
    const from = button.dataset.copyFrom ? document.querySelector(button.dataset.copyFrom) : null;
    const text = from ? ("value" in from ? from.value : from.textContent) : button.dataset.copy;
    copy(text).then(function () {
      const place = document.getElementById("announcement");
      announce(place ? place.dataset.copied : "");
      button.classList.add("copied");
      window.setTimeout(function () { button.classList.remove("copied"); }, 1500);
    });
  });

  function copy(text) {
    if (navigator.clipboard && window.isSecureContext) { return navigator.clipboard.writeText(text); }
    return new Promise(function (done, failed) {  // plain http inside a network
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "hidden";
      document.body.appendChild(area);
      area.select();
      const worked = document.execCommand("copy");
      area.remove();
      if (worked) { done(); } else { failed(new Error("copy")); }
    });
  }

  document.querySelectorAll("[data-check-all]").forEach(function (box) {
    box.hidden = false;
    box.addEventListener("change", function () {
      box.form.querySelectorAll("input[name=ids]").forEach(function (each) { each.checked = box.checked; });
    });
  });

  // How many rows are chosen; with the shift key, all between the last two.
  let last = null;
  document.addEventListener("click", function (event) {
    const box = event.target;
    if (!box.matches("input[name=ids]")) { return; }
    if (event.shiftKey && last && last.form === box.form) {
      const boxes = Array.from(box.form.querySelectorAll("input[name=ids]"));
      const ends = [boxes.indexOf(last), boxes.indexOf(box)].sort(function (a, b) { return a - b; });
      boxes.slice(ends[0], ends[1] + 1).forEach(function (each) { each.checked = box.checked; });
    }
    last = box;
  });
  document.addEventListener("change", function (event) {
    const place = event.target.form && event.target.form.querySelector("[data-chosen]");
    if (!place) { return; }
    const count = event.target.form.querySelectorAll("input[name=ids]:checked").length;
    place.hidden = count === 0;
    place.querySelector("output").textContent = count;
  });

  // <form data-confirm="question">: asked before it is sent; the server asks again where it matters.
  document.addEventListener("submit", function (event) {
    const asking = event.submitter && event.submitter.dataset.confirm ? event.submitter : event.target;
    if (asking.dataset.confirm && !window.confirm(asking.dataset.confirm)) { event.preventDefault(); }
  });

  // <form data-stream="#id of the place">: the answer is shown while it comes, state after state. data-begin: at once.
  const END = "<!-- certcore: end of a state -->";
  document.querySelectorAll("form[data-stream]").forEach(function (form) {
    form.addEventListener("submit", function (event) {
      event.preventDefault();
      const place = document.querySelector(form.dataset.stream);
      const button = form.querySelector("button");
      button.disabled = true;
      stream(form, place).catch(function () { form.submit(); }).finally(function () { button.disabled = false; });
    });
    if (form.hasAttribute("data-begin")) { form.requestSubmit(); }
  });

  async function stream(form, place) {
    const headers = { "X-Certcore-Stream": "yes" };
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form), headers: headers });
    if (!answer.ok || answer.redirected) { throw new Error("refused"); }
    const reader = answer.body.getReader(), decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const part = await reader.read();
      text += decoder.decode(part.value || new Uint8Array(), { stream: !part.done });
      const states = text.split(END);
      text = states.pop();
      if (states.length) { place.innerHTML = states.pop(); }
      if (part.done) { return; }
    }
  }

  // A live part is left alone while nobody looks at it or somebody works in it.
  document.addEventListener("htmx:beforeRequest", function (event) {
    const part = event.detail.elt;
    if (!part.matches("[data-live]") || event.detail.requestConfig.verb !== "get") { return; }
    const isUsed = part.contains(document.activeElement) || part.querySelector("input:checked, details[open]");
    if (document.hidden || isUsed) { event.preventDefault(); }
  });
  document.addEventListener("htmx:configRequest", function (event) {
    const seen = shown[event.detail.path];
    if (seen) { event.detail.headers["X-Certcore-Seen"] = seen; }
  });
  document.addEventListener("htmx:afterRequest", function (event) {
    const digest = event.detail.xhr.getResponseHeader("X-Certcore-Digest");
    const path = event.detail.requestConfig.path;
    if (!digest) { return; }
    // The first half of a digest is what the part says, without the time of a count.
    const isNews = shown[path] && shown[path].split(".")[0] !== digest.split(".")[0];
    if (isNews) { announce(event.detail.requestConfig.elt.dataset.live); }
    shown[path] = digest;
  });
})();
