from llmrec.data.dataset import Dataset, Part, Split
