//! Categories as flows bear them.

use vxscope_flow::Label;
use vxscope_report::Category;

const _: () = assert!(Category::COUNT <= Label::GIVEN_MAX);

/// The label of a category.
#[must_use]
pub fn label_of(category: Category) -> Label {
    Label::new(category.index()).unwrap_or(Label::NONE)
}

/// The category of a label: [`Category::Other`] for frames in no flow, `None` while it is
/// undecided.
#[must_use]
pub fn category_of(label: Label) -> Option<Category> {
    if label.index() == Label::UNDECIDED.index() {
        return None;
    }
    let number = label.number().unwrap_or(Category::Other.index());
    Category::ALL.get(number).copied()
}

#[cfg(test)]
mod tests {
    use super::{category_of, label_of};
    use vxscope_flow::Label;
    use vxscope_report::Category;

    #[test]
    fn categories_come_back_from_their_labels() {
        for category in Category::ALL {
            assert_eq!(category_of(label_of(*category)), Some(*category));
            assert_eq!(category_of(label_of(*category).for_now()), Some(*category));
        }
        assert_eq!(category_of(Label::NONE), Some(Category::Other));
        assert_eq!(category_of(Label::UNDECIDED), None);
    }
}
