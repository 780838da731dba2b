//! Forward passes in which what examples begin with alike is there once.

use tch::{Device, Tensor};

use super::{Batch, Example};
use crate::model::{Branch, Layout};

/// Passes of [`Packing::Shared`](super::Packing::Shared): examples in the order of their tokens, so
/// that those which begin alike stand side by side.
pub(super) fn plan(examples: &[&Example], pass_tokens: usize, device: Device) -> Vec<Batch> {
    // What nothing is predicted from is no input.
    let inputs = |e: &'_ Example| e.counts().iter().rposition(|&counts| counts).unwrap_or(0);
    let mut order: Vec<(usize, &[u32])> =
        examples.iter().enumerate().map(|(i, e)| (i, &e.ids()[..inputs(e)])).collect();
    order.retain(|(_, ids)| !ids.is_empty());
    order.sort_by_key(|&(_, ids)| ids);
    let mut out = Vec::new();
    let mut rest = &order[..];
    while !rest.is_empty() {
        let (mut branches, mut tokens, mut longest) = (Vec::<Branch>::new(), 0, 0);
        for (row, &(_, ids)) in rest.iter().enumerate() {
            let shared = row.checked_sub(1).map_or(0, |before| in_common(rest[before].1, ids));
            let own = ids.len() - shared;
            longest = longest.max(ids.len());
            let cells = (row + 1) * longest;
            if row > 0 && (tokens + own > pass_tokens || cells > 2 * pass_tokens) {
                break;
            }
            tokens += own;
            branches.push(Branch { shared, own });
        }
        let (pass, after) = rest.split_at(branches.len());
        out.push(of_branches(examples, pass, branches, device));
        rest = after;
    }
    out
}

fn of_branches(
    examples: &[&Example],
    pass: &[(usize, &[u32])],
    branches: Vec<Branch>,
    device: Device,
) -> Batch {
    let (mut ids, mut positions, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for ((&(index, inputs), branch), places) in
        pass.iter().zip(&branches).zip(Branch::places(&branches))
    {
        ids.extend(inputs[branch.shared..].iter().map(|&id| i64::from(id)));
        let example = examples[index];
        let next = example.ids().iter().zip(example.counts()).skip(1);
        for (place, (&id, _)) in places.iter().zip(next).filter(|(_, (_, counts))| **counts) {
            positions.push(*place);
            targets.push(i64::from(id));
        }
    }
    Batch {
        input_ids: Tensor::from_slice(&ids).unsqueeze(0).to_device(device),
        layout: Layout::Shared(branches),
        positions: Tensor::from_slice(&positions).to_device(device),
        targets: Tensor::from_slice(&targets).to_device(device),
        examples: pass.iter().map(|&(index, _)| index).collect(),
    }
}

fn in_common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rows_begin_with_is_there_once() {
        let completion = |prompt: &[u32], answer: &[u32]| Example::completion(prompt, answer);
        let examples = [
            completion(&[1, 2, 3], &[7, 8]),
            completion(&[1, 2, 4], &[9]),
            completion(&[1, 2, 3], &[7, 6, 5]),
            completion(&[1, 2, 3], &[]),
        ];
        let refs: Vec<&Example> = examples.iter().collect();
        let batches = plan(&refs, 100, Device::Cpu);
        let [batch] = &batches[..] else { panic!("one pass, found {}", batches.len()) };
        // 1237, 12376, 124: the last token of a row predicts nothing.
        assert_eq!(batch.examples, [0, 2, 1]);
        let flat: Vec<i64> = Vec::try_from(batch.input_ids.flatten(0, 1)).unwrap();
        assert_eq!(flat, [1, 2, 3, 7, 6, 4]);
        let positions: Vec<i64> = Vec::try_from(&batch.positions).unwrap();
        let targets: Vec<i64> = Vec::try_from(&batch.targets).unwrap();
        assert_eq!(positions, [2, 3, 2, 3, 4, 5]);
        assert_eq!(targets, [7, 8, 7, 6, 5, 9]);
        let sizes: Vec<usize> =
            plan(&refs, 5, Device::Cpu).iter().map(|b| b.input_ids.numel()).collect();
        assert_eq!(sizes, [5, 3], "a pass begins its rows anew");
    }
}
