"use strict";

// Keys press the buttons that show them; the server answers every action with the next view, ready made.

const task = document.getElementById("task");
const notice = document.getElementById("notice");
const editor = document.getElementById("editor");
const program = document.getElementById("program");
let busy = false;
let fading = 0;
let source = "new";

if (location.search.includes("token=")) {
  const address = new URL(location.href);
  address.searchParams.delete("token");
  history.replaceState(null, "", address);
}

function say(text, bad = false) {
  clearTimeout(fading);
  const line = document.createElement("p");
  line.textContent = text;
  line.className = bad ? "bad" : "";
  notice.replaceChildren(line);
  if (!bad) fading = setTimeout(() => notice.replaceChildren(), 2500);
}

function view() {
  return task.querySelector("[data-item]");
}

async function send(action, fields = {}) {
  if (busy) return false;
  busy = true;
  try {
    const answer = await fetch("/api/" + action, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ annotator: task.dataset.annotator, item: view().dataset.item, ...fields }),
    });
    const said = await answer.json();
    if (said.html) {
      const before = view().dataset.item;
      task.innerHTML = said.html;
      if (view().dataset.item !== before) {
        scrollTo(0, 0);
        editor.close(); // what is in it answers the other item; the draft is kept
      }
      settle();
    }
    if (said.notice) say(said.notice, !answer.ok);
    return answer.ok;
  } catch {
    say("The server does not answer; this was not recorded. Start it again and open the address it prints.", true);
    return false;
  } finally {
    busy = false;
  }
}

function settle() {
  const here = Boolean(view().dataset.item);
  for (const button of document.querySelectorAll(".actions button")) {
    button.disabled = !here && button.dataset.do !== "undo";
  }
  document.querySelector('[data-do="tests"]').disabled = !here || view().dataset.tests === "no";
}

function act(what) {
  const [action, detail] = what.split(":");
  if (action === "choose") send("choose", { choice: detail });
  else if (action === "undo") send("undo");
  else if (action === "tests") showTests();
  else if (action === "edit") openEditor(detail);
  else if (action === "marks") document.querySelector("main").classList.toggle("marks");
}

function showTests() {
  if (view().dataset.tests === "yes") send("tests");
  else for (const part of task.querySelectorAll(".outcome")) part.hidden = !part.hidden;
}

// Drafts outlive closing the editor, and a crash of the server, as long as the tab is open.
const draft = () => `draft ${task.dataset.annotator} ${view().dataset.item} ${source}`;

function openEditor(side) {
  source = side;
  const original = side === "new" ? "" : task.querySelector(`[data-program="${side}"]`).value;
  program.value = sessionStorage.getItem(draft()) ?? original;
  editor.showModal();
  program.focus();
  program.setSelectionRange(0, 0);
}

async function save() {
  const key = draft();
  if (await send("demonstration", { program: program.value, source })) {
    sessionStorage.removeItem(key);
    editor.close();
  }
}

function keepIndent(event) {
  event.preventDefault();
  const before = program.value.slice(0, program.selectionStart).split("\n").pop();
  const indent = before.match(/^\s*/)[0] + (before.trimEnd().endsWith(":") ? "    " : "");
  program.setRangeText("\n" + indent, program.selectionStart, program.selectionEnd, "end");
  program.dispatchEvent(new Event("input"));
}

if (task) {
  settle();
  document.querySelector(".actions").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) act(button.dataset.do);
  });
  document.getElementById("save").addEventListener("click", save);
  document.getElementById("cancel").addEventListener("click", () => editor.close());
  editor.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing) return;
    event.preventDefault(); // the browser would close it a moment later, and take the next key for the editor's
    editor.close();
  });
  program.addEventListener("input", () => sessionStorage.setItem(draft(), program.value));
  program.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      save();
    } else if (!event.shiftKey && !event.altKey) keepIndent(event);
  });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || editor?.open) return;
  if (event.target.matches("input")) return; // the text area keeps the focus for a moment when its editor closes
  const key = CSS.escape(event.key.toLowerCase());
  const wanted = event.key === "Escape" ? "[data-back]" : `.actions button[data-key="${key}"]:not([disabled])`;
  const button = document.querySelector(wanted);
  if (!button) return;
  event.preventDefault(); // or the key is typed into the editor it opens
  button.click();
});
