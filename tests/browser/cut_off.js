// What cannot be seen whole, or lies on something else: returns a list of sentences, empty where nothing does.
() => {
  const faults = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const said = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 140);
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".hidden, .skip, title");
  const width = document.documentElement.clientWidth;

  // The element around it that scrolls sideways, in which what is further right can be brought into view.
  function scroller(element) {
    for (let one = element.parentElement; one; one = one.parentElement) {
      if (/auto|scroll/.test(getComputedStyle(one).overflowX)) return one;
    }
    return null;
  }

  for (const one of all("body *").filter((each) => isShown(each) && !each.closest("svg"))) {
    const box = one.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    if (!scroller(one) && (box.left < -0.5 || box.right > width + 0.5)) faults.push(`it leaves the screen: ${said(one)}`);
    const style = getComputedStyle(one);
    const hides = /hidden|clip/.test(style.overflowX + style.overflowY);
    const isTooSmall = one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1;
    if (hides && isTooSmall && !one.matches("input, textarea, select")) faults.push(`it hides a part of itself: ${said(one)}`);
    if (one.matches("button, .button") && isTooSmall) faults.push(`its label does not fit: ${said(one)}`);
  }

  // Text that was put where it stands has to be inside of its drawing.
  for (const drawing of all("svg").filter(isShown)) {
    const around = drawing.getBoundingClientRect();
    for (const text of drawing.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      if (box.right > around.right + 1 || box.left < around.left - 1 || box.bottom > around.bottom + 1) {
        faults.push(`it leaves its drawing: ${said(text)}`);
      }
    }
  }

  // What stands in an empty field, and what a list shows, is to be read whole; a name may be longer than any field.
  const canvas = document.createElement("canvas").getContext("2d");
  for (const one of all("input[placeholder], select").filter(isShown)) {
    const style = getComputedStyle(one);
    canvas.font = style.font;
    const text = one.placeholder ?? one.selectedOptions[0]?.textContent ?? "";
    const arrow = one.matches("select") ? 20 : 0;
    const room = one.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - arrow;
    if (text.length <= 40 && canvas.measureText(text).width > room + 1) faults.push(`its text does not fit: ${said(one)}`);
  }

  for (const one of all("input[type=datetime-local]").filter(isShown)) {
    if (one.clientWidth < 180) faults.push(`a date and a time do not fit into ${one.clientWidth} pixels: ${said(one)}`);
  }

  // A word of a table or a fact that is broken because it got no room: one letter a line is not to be read.
  const range = document.createRange();
  for (const cell of all("td, th, dd, h1, h2, h3").filter(isShown)) {
    const box = cell.getBoundingClientRect();
    if (box.width < 24 && cell.textContent.trim().length > 4) faults.push(`it is too narrow to be read: ${said(cell)}`);
    range.selectNodeContents(cell);
    const lines = new Set([...range.getClientRects()].map((one) => Math.round(one.top)));
    if (lines.size > 12 && !cell.querySelector("li, pre")) faults.push(`it has ${lines.size} lines: ${said(cell)}`);
  }

  const controls = all("main a, main button, main input:not([type=hidden]), main select, main textarea, main summary").filter(isShown);
  const boxes = controls.map((one) => [...one.getClientRects()]);
  const overlap = (one, other) =>
    Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1
    && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 1;
  controls.forEach((one, at) => {
    for (let other = at + 1; other < controls.length; other += 1) {
      if (boxes[other][0]?.top > Math.max(...boxes[at].map((box) => box.bottom)) + 200) break;
      if (one.contains(controls[other]) || controls[other].contains(one)) continue;
      if (boxes[at].some((mine) => boxes[other].some((theirs) => overlap(mine, theirs)))) {
        faults.push(`two lie on one another: ${said(one)} and ${said(controls[other])}`);
      }
    }
  });
  return [...new Set(faults)];
}
