// Takes the types out of a script and leaves everything else in its line. It runs in an engine of its own, which is gone afterwards.
import { transform } from "sucrase";

globalThis.strip = (text, file) => {
  try {
    return transform(text, { transforms: ["typescript"], disableESTransforms: true }).code;
  } catch (e) {
    const [, message, line, column] = /^(?:Error transforming [^:]*: )?(.*) \((\d+):(\d+)\)$/s.exec(e.message) ?? [];
    throw new Error(message ? `${file}:${line}:${column}: ${message}` : `${file}: ${e.message}`);
  }
};
