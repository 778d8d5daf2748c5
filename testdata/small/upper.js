// The smallest processor in JavaScript.
export function process(text) {
  return text.replace(/[a-z]+/g, letters => letters.toUpperCase());
}
