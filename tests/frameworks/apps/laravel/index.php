<?php
// Laravel's router and request (Debian's packages), started as its own index.php starts them: `Request::capture` switches
// the method override on. The kernel's configuration, views and database are left out.
require 'Illuminate/autoload.php';

use Illuminate\Container\Container;
use Illuminate\Events\Dispatcher;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Illuminate\Routing\Router;

$container = new Container();
Container::setInstance($container);
$router = new Router(new Dispatcher($container), $container);
$request = Request::capture();
$container->instance('request', $request);
$container->instance(Request::class, $request);

function executed(string $handler): Closure
{
    return function (...$found) use ($handler) {
        $request = Container::getInstance()->make('request');
        $write = [
            'handler' => $handler, 'method' => $request->method(), 'path' => $request->path(), 'id' => $request->route('id'),
            'query' => [$request->query('clinic')], 'merged' => [$request->input('clinic'), $request->get('clinic')],
            'clinic' => [$request->header('X-Clinic')], 'tenant' => [$request->header('X-Tenant-Id')],
            'user' => [$request->header('X-User-Id'), $request->server('REMOTE_USER') ?: null], 'roles' => [$request->header('X-User-Roles')],
        ];
        file_put_contents(getenv('EXECUTED'), json_encode($write, JSON_INVALID_UTF8_SUBSTITUTE) . "\n", FILE_APPEND);
        return new Response("done\n", 200, ['Content-Type' => 'text/plain']);
    };
}

$router->match(['GET', 'POST'], '/', executed('root'));
$router->match(['GET', 'POST'], '/open/{rest?}', executed('open'))->where('rest', '.*');
$router->match(['GET', 'POST', 'PUT', 'DELETE'], '/admin/{rest?}', executed('admin'))->where('rest', '.*');
$router->get('/items', executed('list'));
$router->get('/items/{id}', executed('show'));
$router->post('/items/{id}', executed('update'));
$router->put('/items/{id}', executed('replace'));
$router->delete('/items/{id}', executed('remove'));
$router->match(['POST', 'DELETE'], '/items/{id}/delete', executed('delete'));

try {
    $router->dispatch($request)->send();
} catch (Symfony\Component\HttpKernel\Exception\HttpExceptionInterface $refused) {
    http_response_code($refused->getStatusCode());
} catch (Symfony\Component\HttpFoundation\Exception\RequestExceptionInterface $refused) {
    http_response_code(400);
}
