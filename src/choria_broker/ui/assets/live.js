// Makes an open page live: asks for it again, and changes only what differs, so that nothing flickers and the reader's
// place, selection, focus and typing stay. Without it every page works as it is.

const LONGEST_WAIT = 60;

// --- Times: pages have UTC; the reader gets the own zone.

const zone = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  hourCycle: "h23", timeZoneName: "short",
});

function local(when) {
  const part = Object.fromEntries(zone.formatToParts(when).map(({type, value}) => [type, value]));
  return `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second} ${part.timeZoneName}`;
}

function localize(root) {
  for (const each of root.querySelectorAll("time[datetime]")) {
    const when = new Date(each.dateTime);
    if (!Number.isNaN(when.getTime())) {
      each.title = each.textContent;
      each.textContent = local(when);
    }
  }
}

// --- Changing a page into its newer self.

const keyOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key || "" : "");
const alike = (one, other) =>
  one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

function becomeAttributes(old, now) {
  for (const {name, value} of now.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const {name} of [...old.attributes]) {
    // What the reader has opened stays open.
    if (!now.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  }
}

function become(old, now) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== now.nodeValue) old.nodeValue = now.nodeValue;
    return;
  }
  if (old.hasAttribute("data-keep") || old.isEqualNode(now)) return;
  becomeAttributes(old, now);
  const known = new Map();
  for (const child of old.childNodes) if (keyOf(child)) known.set(keyOf(child), child);
  let place = old.firstChild;
  for (const wanted of [...now.childNodes]) {
    const key = keyOf(wanted);
    let found = key ? known.get(key) : place;
    if (found && !alike(found, wanted)) found = undefined;
    if (!found) {
      old.insertBefore(wanted, place);
    } else {
      if (found === place) place = place.nextSibling;
      else old.insertBefore(found, place);
      become(found, wanted);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

// --- Looking again.

const live = document.getElementById("live");
let timer = 0;
let failures = 0;
let looking = false;

function say(text) {
  const place = document.getElementById("freshness");
  if (place && place.textContent !== text) place.textContent = text;
}

async function look() {
  if (looking) return;
  looking = true;
  const patience = AbortSignal.timeout(15000);
  try {
    const answer = await fetch(location.href, {headers: {"Choria-Part": "live"}, signal: patience, cache: "no-store"});
    const text = await answer.text();
    if (!answer.headers.has("Choria-Part")) throw new Error("not a page of the dashboard");
    const now = new DOMParser().parseFromString(text, "text/html").getElementById("live");
    localize(now);
    become(live, now);
    failures = 0;
    document.dispatchEvent(new Event("choria:looked"));
  } catch (error) {
    failures += 1;
    live.classList.add("stale");
    say("The broker does not answer at the moment; what is shown is from before. Trying again.");
  }
  looking = false;
  plan();
}

function plan() {
  clearTimeout(timer);
  const pace = Number(live.dataset.refresh);
  if (pace && !document.hidden) timer = setTimeout(look, Math.min(pace * 2 ** Math.min(failures, 4), LONGEST_WAIT) * 1000);
}

// Nobody looks at a hidden page; who comes back sees what is by now.
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden && Number(live.dataset.refresh)) look();
});

// --- One key: / goes to the find box.

document.addEventListener("keydown", (event) => {
  const busy = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || busy || event.ctrlKey || event.metaKey || event.altKey) return;
  const box = document.getElementById("find");
  if (box) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});

// On a phone the menu is a strip: the page that is shown is to be in sight.
const strip = document.querySelector(".menu");
const here = strip?.querySelector("[aria-current]");
if (here && strip.scrollWidth > strip.clientWidth) strip.scrollLeft = here.offsetLeft - (strip.clientWidth - here.offsetWidth) / 2;

localize(document);
plan();
