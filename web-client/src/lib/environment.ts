// What the program that serves this page says about itself (embed.go).

/** Lab mode: plain HTTP and test drivers; people are told so on every page. */
export const lab = document.documentElement.dataset["lab"] === "true";

/** The nonce that the page's Content-Security-Policy wants on style elements; undefined where none is set. */
export const nonce = document.querySelector<HTMLElement>("meta[property=csp-nonce]")?.nonce || undefined;
