// What `import … from "@taskhost/sdk"` finds.
export * from "./assembly/index";
