import { render } from 'preact'
import { App } from './app'
import './style/app.css'

render(<App />, document.getElementById('app')!)
