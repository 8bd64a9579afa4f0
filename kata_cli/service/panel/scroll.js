// A scroller that stays at its end while it is there, and where it is once the reader has scrolled up.

const NEAR_PX = 32;

/** `button` shows when something new has come below what is seen, and leads there. */
export class Sticky {
  #scroller;
  #button;
  #isAtEnd = true;
  #lastTop = 0;

  constructor(scroller, content, button) {
    this.#scroller = scroller;
    this.#button = button;
    scroller.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    button.addEventListener("click", () => this.toEnd());
    // Sizes also change without new messages: a window resized, a step unfolded, a message first laid out.
    const observer = new ResizeObserver(() => this.#settle());
    observer.observe(content);
    observer.observe(scroller);
  }

  /** Something new has been put at the end. */
  grown() {
    if (!this.#isAtEnd) this.#button.hidden = false;
  }

  toEnd() {
    this.#isAtEnd = true;
    this.#button.hidden = true;
    this.#settle();
  }

  #settle() {
    if (this.#isAtEnd) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  // Only a move upwards leaves the end: sizes that settle also make the scroller move, but downwards.
  #onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    if (scrollHeight - scrollTop - clientHeight < NEAR_PX) {
      this.#isAtEnd = true;
      this.#button.hidden = true;
    } else if (scrollTop < this.#lastTop) {
      this.#isAtEnd = false;
    }
    this.#lastTop = scrollTop;
  }
}
