// The hover card: thumbnail and three facts about the image under the pointer.

import { element } from "./scatter-elements.js";

/** Methods of ScatterMap (scatter.js). */
export const hoverCard = {
  async showCard(i, px, py) {
    const { card, picture, facts } = this.parts;
    this.hovered = i;
    if (i < 0) {
      card.style.display = "none";
      return;
    }
    const { data } = this;
    picture.style.display = data.thumb ? "block" : "none";
    if (data.thumb) picture.src = data.thumb.replace("{i}", i);
    facts.replaceChildren(...this.facts(i, `image ${i}`));
    card.style.display = "block";
    card.style.left = `${Math.max(4, Math.min(px + 14, this.camera.width - 236))}px`;
    card.style.top = `${Math.max(4, Math.min(py + 14, this.camera.height - (data.thumb ? 200 : 80)))}px`;
    const answer = await fetch(data.fact.replace("{i}", i));
    if (this.hovered !== i || !answer.ok) return;
    facts.replaceChildren(...this.facts(i, ...(await answer.json())));
    if (i === this.walker) this.say([...facts.children].map((line) => line.textContent).join(", "));
  },

  facts(i, name, ...more) {
    const { data, membership } = this;
    const lines = [element("b", {}, name)];
    if (this.hasSelection()) {
      const place = data.mask ? "" : ` · rank ${(membership.rank[i] + 1).toLocaleString("en")}`;
      lines.push(element("div", {}, (membership.keeps(i) ? "selected" : "not selected") + place));
    }
    return [...lines, ...more.map((line) => element("div", {}, line))].slice(0, 4);
  },
};
