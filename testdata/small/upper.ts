// The smallest processor in AssemblyScript.
import { input, output } from "../../sdk/assemblyscript/assembly/index";

export function process(): i32 {
  const text = input();
  for (let i = 0; i < text.length; i++) if (text[i] >= 0x61 && text[i] <= 0x7a) text[i] -= 0x20;
  return output(text);
}
