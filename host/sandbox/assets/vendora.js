// Copy buttons. Without this script they stay hidden and the values can be selected by hand.
const status = document.createElement("p");
status.className = "toast";
status.setAttribute("role", "status");
document.body.append(status);

let timer;
function say(words) {
  status.textContent = words;
  clearTimeout(timer);
  timer = setTimeout(() => { status.textContent = ""; }, 2500);
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const value = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(value.textContent);
      say("Copied");
    } catch {
      // The browser refused: select the value, so that the keyboard can copy it.
      getSelection().selectAllChildren(value);
      say("Selected. Press Ctrl+C or ⌘C to copy.");
    }
  });
}
