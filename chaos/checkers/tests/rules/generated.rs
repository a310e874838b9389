//! A correct system passes, whatever its users and nodes go through.

use std::collections::BTreeSet;

use chaos_checkers::{Contract, Outcome, Question, Rule, State, judge};
use chaos_observe::{History, Op, Record};
use proptest::prelude::*;

use crate::{
    failed, verdict,
    world::{self, Step, World},
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_correct_history_passes(users in 2..8usize, steps in world::steps()) {
        let records = World::run(users, &steps);
        let verdict = verdict(&records);
        prop_assert_eq!(verdict.outcome, Outcome::Pass, "{:#?}", verdict.reasons);
        prop_assert_eq!(verdict.numbers.missing, 0);
        prop_assert_eq!(verdict.numbers.received, receipts(&records));
    }

    #[test]
    fn a_verdict_comes_back_from_its_text(users in 2..4usize, steps in world::steps()) {
        let mut records = World::run(users, &steps);
        records.retain(|record| !matches!(record.op, Op::SendFail { .. }));
        let verdict = verdict(&records);
        let text = serde_json::to_string(&verdict).unwrap();
        prop_assert_eq!(serde_json::from_str::<chaos_checkers::Verdict>(&text).unwrap(), verdict);
    }

    #[test]
    fn a_system_without_offsets_is_judged_by_memberships(users in 2..8usize, steps in world::steps()) {
        // Whoever stays gets everything: no one leaves or is cut off.
        let stays = |step: &Step| matches!(step, Step::Say { .. } | Step::Deliver { .. });
        let steps: Vec<_> = steps.into_iter().filter(stays).collect();
        let records = world::without_offsets(World::run(users, &steps));
        let verdict = judge(&History::of(records), &Question::of(Contract::AckedIsDurable));
        prop_assert_eq!(verdict.outcome, Outcome::Pass, "{:#?}", verdict.reasons);
        let not_applicable = |rule: &Rule| verdict.rules[rule].state == State::NotApplicable;
        let expected = [Rule::R8, Rule::R10, Rule::R11, Rule::R12];
        prop_assert_eq!(Rule::ALL.into_iter().filter(not_applicable).collect::<Vec<_>>(), expected);
        prop_assert!(verdict.rules[&Rule::R1].examined > 0);
    }

    #[test]
    fn at_most_once_allows_what_it_does_not_promise(users in 2..8usize, steps in world::steps(), nth in any::<prop::sample::Index>()) {
        // Without offsets nobody can resume after a leave.
        let steps: Vec<_> = steps.into_iter().filter(|step| !matches!(step, Step::Return { resume: true, .. })).collect();
        let mut records = world::without_offsets(World::run(users, &steps));
        // Canaries are promised by everyone.
        let canary = |record: &Record| matches!(record.op, Op::Send { canary: true, .. });
        let canary = records.iter().position(canary).unwrap_or(records.len());
        let receipts: Vec<_> = (0..canary).filter(|at| matches!(records[*at].op, Op::Recv { .. })).collect();
        prop_assume!(!receipts.is_empty());
        records.remove(receipts[nth.index(receipts.len())]);
        let verdict = judge(&History::of(records), &Question::of(Contract::AtMostOnce));
        prop_assert_eq!(failed(&verdict), BTreeSet::new(), "{:#?}", verdict.reasons);
        prop_assert_eq!(&verdict.rules[&Rule::R1].state, &State::NotApplicable);
    }
}

fn receipts(records: &[Record]) -> u64 {
    records.iter().filter(|record| matches!(record.op, Op::Recv { .. })).count() as u64
}
