// What the program that serves this page says about itself (embed.go).

/** Lab mode: plain HTTP and test drivers; people are told so on every page. */
export const lab = document.documentElement.dataset["lab"] === "true";

/**
 * Gives every style element that scripts make the nonce that the page's Content-Security-Policy wants. Ant Design takes a nonce for its themes, but measures
 * scroll bars and locks scrolling with style elements that have none.
 */
export function signStyles() {
  const nonce = document.querySelector<HTMLElement>("meta[property=csp-nonce]")?.nonce;
  if (!nonce) return; // the development server sets no policy
  const create = document.createElement.bind(document);
  document.createElement = (name: string, options?: ElementCreationOptions) => {
    const element = create(name, options);
    if (element instanceof HTMLStyleElement) element.nonce = nonce;
    return element;
  };
}
