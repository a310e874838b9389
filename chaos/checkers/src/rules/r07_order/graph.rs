//! The graph of what came directly after what, and its cycles.

use std::collections::VecDeque;

/// How many edges the search for short cycles may follow; then the shortest so far must do.
const EFFORT: u64 = 20_000_000;
const NONE: u32 = u32::MAX;

/// Nodes are numbers from 0. Most have one successor that all members agree on: it is kept apart, so that edges are
/// compared, not stored, as long as members agree.
#[derive(Default)]
pub(super) struct Graph {
    first: Vec<u32>,
    others: Vec<(u32, u32)>,
}

impl Graph {
    pub(super) fn edge(&mut self, from: u32, to: u32) {
        let nodes = from.max(to) as usize + 1;
        if self.first.len() < nodes {
            self.first.resize(nodes, NONE);
        }
        let first = &mut self.first[from as usize];
        if *first == NONE {
            *first = to;
        } else if *first != to {
            self.others.push((from, to));
        }
    }

    /// For each set of nodes that reach each other, its shortest cycle.
    pub(super) fn shortest_cycle_of_each_knot(mut self) -> Vec<Vec<u32>> {
        self.others.sort_unstable();
        self.others.dedup();
        let knots = Knots::of(&self);
        let mut effort = EFFORT;
        let mut search = Search { graph: &self, knot_of: &knots.knot_of, from: vec![NONE; self.first.len()] };
        knots.of_several.iter().filter_map(|knot| search.shortest(knot, &mut effort)).collect()
    }

    fn successors(&self, node: u32) -> impl Iterator<Item = u32> {
        let others = self.others.partition_point(|(from, _)| *from < node);
        let others = self.others[others..].iter().take_while(move |(from, _)| *from == node).map(|(_, to)| *to);
        Some(self.first[node as usize]).filter(|first| *first != NONE).into_iter().chain(others)
    }
}

/// Strongly connected components (Tarjan), without recursion.
struct Knots {
    knot_of: Vec<u32>,
    of_several: Vec<Vec<u32>>,
}

struct Visit {
    node: u32,
    successors: Vec<u32>,
}

impl Knots {
    fn of(graph: &Graph) -> Knots {
        let nodes = graph.first.len();
        let mut tarjan = Tarjan {
            graph,
            index: vec![NONE; nodes],
            low: vec![NONE; nodes],
            next: 0,
            open: Vec::new(),
            knots: Knots { knot_of: vec![NONE; nodes], of_several: Vec::new() },
            count: 0,
        };
        for node in 0..nodes as u32 {
            if tarjan.index[node as usize] == NONE {
                tarjan.walk(node);
            }
        }
        tarjan.knots
    }
}

struct Tarjan<'g> {
    graph: &'g Graph,
    index: Vec<u32>,
    low: Vec<u32>,
    next: u32,
    open: Vec<u32>,
    knots: Knots,
    count: u32,
}

impl Tarjan<'_> {
    fn walk(&mut self, root: u32) {
        let mut path = vec![self.enter(root)];
        while let Some(visit) = path.last_mut() {
            let node = visit.node as usize;
            let Some(next) = visit.successors.pop() else {
                path.pop();
                if let Some(above) = path.last() {
                    let above = above.node as usize;
                    self.low[above] = self.low[above].min(self.low[node]);
                }
                self.leave(node as u32);
                continue;
            };
            if self.index[next as usize] == NONE {
                let visit = self.enter(next);
                path.push(visit);
            } else if self.knots.knot_of[next as usize] == NONE {
                self.low[node] = self.low[node].min(self.index[next as usize]);
            }
        }
    }

    fn enter(&mut self, node: u32) -> Visit {
        (self.index[node as usize], self.low[node as usize]) = (self.next, self.next);
        self.next += 1;
        self.open.push(node);
        Visit { node, successors: self.graph.successors(node).collect() }
    }

    /// When the node is the first of its knot, all that is open since belongs to it.
    fn leave(&mut self, node: u32) {
        if self.low[node as usize] != self.index[node as usize] {
            return;
        }
        let begin = self.open.iter().rposition(|open| *open == node).unwrap_or_default();
        let knot = self.open.split_off(begin);
        for member in &knot {
            self.knots.knot_of[*member as usize] = self.count;
        }
        self.count += 1;
        if knot.len() > 1 {
            self.knots.of_several.push(knot);
        }
    }
}

struct Search<'g> {
    graph: &'g Graph,
    knot_of: &'g [u32],
    /// How the search came to a node.
    from: Vec<u32>,
}

impl Search<'_> {
    fn shortest(&mut self, knot: &[u32], effort: &mut u64) -> Option<Vec<u32>> {
        let mut best: Option<Vec<u32>> = None;
        for start in knot {
            let longest = best.as_ref().map_or(usize::MAX, |best| best.len() - 1);
            if longest < 2 || best.is_some() && *effort == 0 {
                break;
            }
            if let Some(cycle) = self.through(*start, longest, effort) {
                best = Some(cycle);
            }
        }
        best
    }

    /// The shortest cycle through `start`, when it has at most `longest` nodes: breadth first.
    fn through(&mut self, start: u32, longest: usize, effort: &mut u64) -> Option<Vec<u32>> {
        let mut touched = vec![start];
        let mut queue = VecDeque::from([(start, 1)]);
        let mut found = None;
        'search: while let Some((node, length)) = queue.pop_front().filter(|(_, length)| *length <= longest) {
            for next in self.graph.successors(node) {
                *effort = effort.saturating_sub(1);
                if next == start {
                    found = Some(self.back(start, node));
                    break 'search;
                }
                let same_knot = self.knot_of[next as usize] == self.knot_of[start as usize];
                if same_knot && self.from[next as usize] == NONE {
                    self.from[next as usize] = node;
                    touched.push(next);
                    queue.push_back((next, length + 1));
                }
            }
        }
        for node in touched {
            self.from[node as usize] = NONE;
        }
        found
    }

    fn back(&self, start: u32, end: u32) -> Vec<u32> {
        let mut cycle = vec![end];
        while cycle.last() != Some(&start) {
            cycle.push(self.from[cycle[cycle.len() - 1] as usize]);
        }
        cycle.reverse();
        cycle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(edges: &[(u32, u32)]) -> Vec<Vec<u32>> {
        let mut graph = Graph::default();
        for (from, to) in edges {
            graph.edge(*from, *to);
        }
        graph.shortest_cycle_of_each_knot()
    }

    #[test]
    fn an_order_has_no_cycle() {
        assert!(cycles(&[(0, 1), (1, 2), (0, 2), (2, 3), (1, 3)]).is_empty());
        assert!(cycles(&[]).is_empty());
    }

    #[test]
    fn the_shortest_cycle_of_each_knot_is_found() {
        // A long way round and a short one share nodes; another knot lies behind.
        let edges = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (2, 1), (4, 5), (5, 6), (6, 7), (7, 5)];
        let mut found = cycles(&edges);
        for cycle in &mut found {
            let least = (0..cycle.len()).min_by_key(|at| cycle[*at]).unwrap();
            cycle.rotate_left(least);
        }
        found.sort();
        assert_eq!(found, [vec![1, 2], vec![5, 6, 7]]);
    }

    #[test]
    fn a_long_room_does_not_overflow_the_stack() {
        let edges: Vec<_> = (0..300_000).map(|node| (node, node + 1)).chain([(300_000, 0)]).collect();
        assert_eq!(cycles(&edges)[0].len(), 300_001);
    }
}
