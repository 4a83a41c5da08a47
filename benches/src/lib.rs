//! What a packet costs, each figure beside its ceiling in the same run.
