export default { test: { include: ["keyv.suite.js"] } };
