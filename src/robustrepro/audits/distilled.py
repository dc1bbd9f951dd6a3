"""A network distilled from a model's own answers: gradients for attacks on a model that has none."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustrepro.attacks.norms import per_example
from robustrepro.attacks.pgd import pgd
from robustrepro.attacks.subject import on_device
from robustrepro.attacks.threat_models import Box, ThreatModel, unit_ball_noise
from robustrepro.losses import cross_entropy
from robustrepro.seeds import derive_seed
from robustrepro.spec.attacks import Norm

ROUNDS = 4
"""Trainings, each on more answers than the one before."""
EPOCHS = 8
BATCH_SIZE = 64
LEARNING_RATE = 1e-3
WIDTH = 32
STEPS, STEP_SIZE = 10, 0.25
"""Of PGD on the network, whose examples the model is asked about in the next round; a step in units of ε."""


def distilled(model: nn.Module, images: Tensor, *, epsilon: float, norm: Norm, box: Box, seed: int) -> nn.Module | None:
    """Return a small network that has learnt a model's answers in and around a ball, or None if it gives one class.

    It learns from labels alone. In each round the model is asked about the images, about noise of up to 2ε around them,
    and about the adversarial examples of the network so far, which lie where the two disagree (Papernot et al. 2017).

    Parameters
    ----------
    model
        In evaluation mode.
    images
        Shape (N, ...), on the CPU.
    epsilon, norm, box
        The ball, and the range of valid pixels.
    seed
        The seed that the user sees.
    """
    device = next((weight.device for weight in model.parameters()), images.device)
    points, answers = images, _answers(model, images, device)
    if bool((answers == answers[0]).all()):
        return None
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(derive_seed(seed, "distilled"))
        with torch.no_grad():
            classes = model(on_device(images[:1], device)).shape[1]
        network = _small_network(images, classes).to(device)
        for number in range(ROUNDS):
            around = _noisy(images, ThreatModel(norm, 2 * epsilon, box), seed, number)
            new = (
                [around] if number == 0 else [around, _adversarial(network, images, model, device, epsilon, norm, box)]
            )
            points = torch.cat([points, *new])
            answers = torch.cat([answers, *(_answers(model, each, device) for each in new)])
            _train(network, points, answers, device)
    return network.eval().requires_grad_(False)


def _small_network(images: Tensor, classes: int) -> nn.Module:
    """Return a network for such inputs: two convolutions and two layers for images, three layers for points."""
    if images.ndim == 4:
        first: list[nn.Module] = [
            nn.Conv2d(images.shape[1], WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, 2 * WIDTH, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(min(7, *images.shape[2:])),
            nn.Flatten(),
            nn.LazyLinear(4 * WIDTH),
        ]
    else:
        first = [nn.Linear(images[0].numel(), 4 * WIDTH), nn.ReLU(), nn.Linear(4 * WIDTH, 4 * WIDTH)]
    network = nn.Sequential(*first, nn.ReLU(), nn.Linear(4 * WIDTH, classes))
    network(images[:1])
    return network


def _answers(model: nn.Module, points: Tensor, device: torch.device) -> Tensor:
    with torch.no_grad():
        return torch.cat([model(on_device(batch, device)).argmax(1).cpu() for batch in torch.split(points, 256)])


def _noisy(images: Tensor, threat: ThreatModel, seed: int, number: int) -> Tensor:
    count = len(images)
    noise = unit_ball_noise(
        threat.norm,
        images.shape[1:],
        seed=derive_seed(seed, "distilled", number),
        indices=range(count),
        restarts=[0] * count,
    )
    sizes = per_example(torch.rand(count), images)
    return threat.project(images + sizes * float(threat.epsilon) * noise, images)


def _adversarial(
    network: nn.Module, images: Tensor, model: nn.Module, device: torch.device, epsilon: float, norm: Norm, box: Box
) -> Tensor:
    """Return the examples of PGD on the network, away from the model's answers."""
    network.eval()
    found = []
    for batch in torch.split(images, 256):
        labels = _answers(model, batch, device).to(device)
        batch = on_device(batch, device)
        ascended = pgd(
            network,
            batch,
            labels,
            epsilon=epsilon,
            steps=STEPS,
            step_size=STEP_SIZE * epsilon,
            starts=batch,
            norm=norm,
            box=box,
        )
        found.append(ascended.cpu())
    return torch.cat(found)


def _train(network: nn.Module, points: Tensor, answers: Tensor, device: torch.device) -> None:
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    for _ in range(EPOCHS):
        for chosen in torch.split(torch.randperm(len(points)), BATCH_SIZE):
            loss = cross_entropy(network(on_device(points[chosen], device)), answers[chosen].to(device)).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
