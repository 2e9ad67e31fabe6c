// What keeps people out of a page: returns a list of sentences, empty where nothing does.
() => {
  const faults = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  const said = (element) => element.outerHTML.replace(/\s+/g, " ").slice(0, 120);
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });

  function nameOf(element) {
    const label = element.getAttribute("aria-label");
    if (label) return label.trim();
    const ids = element.getAttribute("aria-labelledby");
    if (ids) return ids.split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim();
    if (element.labels?.length) return [...element.labels].map((one) => one.textContent).join(" ").trim();
    return (element.textContent || element.getAttribute("title") || "").trim();
  }

  if (!document.documentElement.lang) faults.push("the page has no language");
  if (!document.title.trim()) faults.push("the page has no title");
  for (const [landmark, number] of [["main", 1], ["header", 1], ["nav", 1], ["h1", 1]]) {
    if (all(landmark).length !== number) faults.push(`there are ${all(landmark).length} of <${landmark}>`);
  }
  for (const one of all("nav, [role=region], section:not([class])")) {
    if (one.matches("nav, [role=region]") && !nameOf(one)) faults.push(`a region has no name: ${said(one)}`);
  }
  let level = 0;
  for (const heading of all("h1, h2, h3, h4, h5, h6").filter(isShown)) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) faults.push(`a heading leaves out a level: ${said(heading)}`);
    if (!heading.textContent.trim()) faults.push(`a heading is empty: ${said(heading)}`);
    level = own;
  }
  for (const one of all("input:not([type=hidden]), select, textarea, button, a[href], summary").filter(isShown)) {
    if (!nameOf(one)) faults.push(`it has no name: ${said(one)}`);
    if (one.matches("input:not([type=checkbox]), select, textarea") && !one.labels?.length && !one.hasAttribute("aria-label")) {
      faults.push(`it has no label: ${said(one)}`);
    }
  }
  const names = new Map();
  for (const one of all("button, a.button").filter(isShown)) {
    const key = one.closest("form")?.action ?? one.href ?? "";
    const before = names.get(nameOf(one));
    if (before !== undefined && before !== key) faults.push(`two that do different things are both called ${nameOf(one)}`);
    names.set(nameOf(one), key);
  }
  for (const svg of all("svg")) {
    if (svg.getAttribute("role") === "img" ? !svg.getAttribute("aria-label") : !svg.querySelector("a, text")) {
      faults.push(`a drawing says nothing: ${said(svg)}`);
    }
  }
  for (const image of all("img:not([alt])")) faults.push(`an image has no text: ${said(image)}`);
  for (const cell of all("th:not([scope])")) faults.push(`a heading of a table has no scope: ${said(cell)}`);
  for (const row of all("tbody tr")) {
    const heads = row.closest("table").querySelectorAll("thead th").length;
    if (row.cells.length !== heads) faults.push(`a row has ${row.cells.length} cells under ${heads} headings: ${said(row)}`);
  }
  for (const one of all("[tabindex]")) {
    if (one.tabIndex > 0) faults.push(`it jumps the order of focus: ${said(one)}`);
  }
  for (const one of all("main *").filter(isShown)) {
    const style = getComputedStyle(one);
    const scrolls = /auto|scroll/.test(style.overflowX + style.overflowY)
      && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1);
    if (scrolls && one.tabIndex < 0 && !one.matches("textarea")) faults.push(`it scrolls, and the keyboard cannot: ${said(one)}`);
  }
  const ids = all("[id]").map((one) => one.id);
  for (const id of new Set(ids.filter((one, at) => ids.indexOf(one) !== at))) faults.push(`two have the id ${id}`);

  // Contrast, by the formula of WCAG 2.2: 4.5 to 1, or 3 to 1 for large letters.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  function rgba(colour) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  }
  function over(front, back) {
    return [0, 1, 2].map((at) => front[at] * front[3] + back[at] * (1 - front[3])).concat(1);
  }
  function ground(element) {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.push(rgba(getComputedStyle(one).backgroundColor));
    return layers.reverse().reduce((back, front) => over(front, back), [255, 255, 255, 1]);
  }
  function light([red, green, blue]) {
    const parts = [red, green, blue].map((one) => one / 255).map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  }
  const looked = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || looked.has(element) || !isShown(element) || element.closest("noscript, title")) continue;
    looked.add(element);
    if (element.closest(".skip, .hidden")) continue;
    const style = getComputedStyle(element);
    const back = ground(element);
    let opacity = 1;
    for (let one = element; one; one = one.parentElement) opacity *= Number(getComputedStyle(one).opacity);
    const ink = rgba(element.closest("svg") ? style.fill : style.color);
    const front = over([...ink.slice(0, 3), ink[3] * opacity], back);
    const [dark, bright] = [light(front), light(back)].sort((left, right) => left - right);
    const ratio = (bright + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) faults.push(`contrast ${ratio.toFixed(2)}: ${said(element)}`);
  }
  return [...new Set(faults)];
}
